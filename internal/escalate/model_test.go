package escalate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// model is escalation told with kitchen timers: it lives through every minute and counts up or down, and remembers
// everything. It is slow, stores nothing and knows no time of day, so digests are not its business.
type model struct {
	spec    map[alert.Severity]modelTier
	steps   []modelStep
	members []*member

	tier     alert.Severity
	age      int // since the group opened
	untilNew int // until the page of the present tier is due, where no step has been taken for it
	step     int
	stepAge  int // since the last step or repeat, or since the group fell asleep
	told     []string
	toldAge  int  // since the last message
	news     bool // something has happened since the last message
	slept    bool // all that was open was snoozed at some time since the last message
	inHand   bool
	handAge  int // since the acknowledgement
	closed   bool

	interval, handFor int
	// respondFor is the promised time, 0 for none; untilRespond counts down where somebody has to respond.
	respondFor, untilRespond int
	expecting                bool
	silences                 map[string]int // minutes left, by alert
	// muted are the minutes in which only what is critical is paged.
	mutedFrom, mutedTo int

	said []string // by the present minute
	now  int
}

type modelTier struct{ window, repeat int }

type modelStep struct {
	after    int
	receiver string
	tiers    string
}

type member struct {
	id       string
	tier     alert.Severity
	open     bool
	tierAge  int // since it opened or rose
	rose     bool
	came     bool // since the last message
	woke     bool // from a snooze, since the last message
	released bool // by something else, since the last message
	known    bool // a message was sent while it was there
	goneNews bool // it was known, and has ended since the last message
	snooze   int
	// asleep and held are how it was at the last look: snoozed, and held by something else.
	asleep, held bool
}

// holds reports whether something keeps pages from telling of a member now.
func (m *model) holds(e *member) bool { return e.snooze > 0 || m.heldElse(e) }

func (m *model) heldElse(e *member) bool {
	muted := m.now >= m.mutedFrom && m.now < m.mutedTo
	return m.silences[e.id] > 0 || muted && e.tier != alert.Critical
}

func (m *model) awake() []*member {
	var all []*member
	for _, e := range m.members {
		if e.open && !m.holds(e) {
			all = append(all, e)
		}
	}
	return all
}

func (m *model) anyOpen() bool {
	return slices.ContainsFunc(m.members, func(e *member) bool { return e.open })
}

// minute lets a minute pass, before what happens in the next one.
func (m *model) minute() {
	m.now++
	m.age++
	m.untilNew--
	m.stepAge++
	m.toldAge++
	m.handAge++
	m.untilRespond--
	for id := range m.silences {
		m.silences[id]--
	}
	for _, e := range m.members {
		e.tierAge++
		if e.snooze > 0 {
			e.snooze--
		}
	}
}

func (m *model) find(id string) *member {
	for _, e := range m.members {
		if e.open && e.id == id {
			return e
		}
	}
	return nil
}

func (m *model) fire(id string, t alert.Severity) {
	if len(m.members) == 0 {
		m.tier, m.untilNew = t, m.spec[t].window
	}
	m.members = append(m.members, &member{id: id, tier: t, open: true, came: true})
	m.news = m.news || t <= m.tier // a higher one is seen to at once
}

func (m *model) turn(id string, t alert.Severity) {
	e := m.find(id)
	if t > e.tier {
		e.tierAge, e.rose, e.snooze, e.woke, e.asleep = 0, e.rose || e.tierAge > 0, 0, false, false
	}
	e.tier, m.news = t, true
}

func (m *model) end(id string) {
	e := m.find(id)
	e.open, e.goneNews, m.news = false, e.known, true
}

func (m *model) acknowledge() { m.inHand, m.handAge = true, 0 }

func (m *model) takenFor(n int, t alert.Severity) bool {
	return strings.Contains(m.steps[n-1].tiers, t.String())
}

func (m *model) nextStep(after int) int {
	for n := after + 1; n <= len(m.steps); n++ {
		if m.takenFor(n, m.tier) {
			return n
		}
	}
	return 0
}

// reached is the last step so far that is for the present tier.
func (m *model) reached() int {
	for n := m.step; n >= 1; n-- {
		if m.takenFor(n, m.tier) {
			return n
		}
	}
	return m.nextStep(0)
}

func (m *model) say(kind string, receivers []string, step int) {
	if len(receivers) == 0 {
		return
	}
	m.said = append(m.said, fmt.Sprintf("%d %s %s %d", m.now, kind, list(receivers), step))
	if kind == "end" {
		return
	}
	for _, r := range receivers {
		if !slices.Contains(m.told, r) {
			m.told = append(m.told, r)
		}
	}
}

func (m *model) decide() {
	if m.closed || len(m.members) == 0 {
		return
	}
	if !m.anyOpen() {
		m.say("end", m.told, m.step)
		m.closed = true
		return
	}
	for _, e := range m.members {
		if e.open {
			e.woke, e.released = e.woke || e.asleep && e.snooze <= 0, e.released || e.held && !m.heldElse(e)
			e.asleep, e.held = e.snooze > 0, m.heldElse(e)
		}
	}
	paged := len(m.told) > 0
	restart, higherJoined := false, false
	if awake := m.awake(); len(awake) > 0 {
		top := alert.NoSeverity
		for _, e := range awake {
			top = max(top, e.tier)
		}
		if top > m.tier {
			wait, unseen := m.spec[top].window, false
			for _, e := range awake {
				if e.tier == top {
					wait = min(wait, m.spec[top].window-e.tierAge)
					unseen = unseen || e.tierAge < m.handAge
					higherJoined = higherJoined || e.came && !e.rose
				}
			}
			if !paged {
				wait = min(wait, m.untilNew)
			}
			m.tier, m.untilNew, m.step, m.news, restart = top, wait, 0, false, true
			m.inHand = m.inHand && !unseen
		} else if top < m.tier {
			m.tier = top
			m.news = true
			if !paged {
				m.untilNew = m.spec[top].window - m.age
			} else if m.step == 0 {
				m.step, m.news = m.nextStep(0), false
			}
		}
	}
	asleep := len(m.awake()) == 0
	if asleep {
		if m.step > 0 && !m.slept {
			m.slept, m.stepAge = true, 0
		}
		m.news = false
	}
	expired := m.inHand && m.handAge >= m.handFor
	if m.inHand && !expired {
		m.expecting = false
		return
	}
	m.inHand = false
	if asleep {
		return
	}
	before := len(m.said)
	m.pages(expired)
	m.updates(before, restart, higherJoined)
}

func (m *model) pages(expired bool) {
	overdue := func() bool { return m.expecting && m.untilRespond <= 0 }
	expect := func() { m.expecting, m.untilRespond = m.respondFor > 0, m.respondFor }
	again := func() {
		m.expecting = m.expecting && m.untilRespond > 0
		n := m.reached()
		m.say("repeat", []string{m.steps[n-1].receiver}, n)
		m.stepAge = 0
	}
	take := func(n int) {
		m.expecting = m.expecting && m.untilRespond > 0
		m.say("page", []string{m.steps[n-1].receiver}, n)
		m.step, m.stepAge = n, 0
	}
	switch {
	case m.step == 0 && m.untilNew > 0:
		return
	case m.step == 0:
		take(m.nextStep(0))
		expect()
	case expired || m.slept:
		again()
		expect()
	}
	n := m.nextStep(m.step)
	switch {
	case n != 0 && (m.stepAge >= m.steps[n-1].after || overdue()):
		take(n)
	case n == 0 && (m.stepAge >= m.spec[m.tier].repeat || overdue()):
		again()
	}
}

func (m *model) updates(before int, restart, higherJoined bool) {
	if len(m.told) == 0 {
		return
	}
	news := m.news
	for _, e := range m.members {
		news = news || e.goneNews || e.open && !m.holds(e) && (e.came || e.woke || e.released)
	}
	var others []string
	for _, r := range m.told {
		if !slices.ContainsFunc(m.said[before:], func(line string) bool { return strings.Contains(line, " "+r+" ") }) {
			others = append(others, r)
		}
	}
	spoken := len(m.said) > before
	switch {
	case spoken && (news || restart):
		m.say("update", others, m.reached())
	case spoken:
	case higherJoined, news && m.toldAge >= m.interval:
		m.say("update", m.told, m.reached())
	}
	if len(m.said) > before {
		m.news, m.toldAge, m.slept = false, 0, false
		for _, e := range m.members {
			e.came, e.woke, e.released, e.goneNews = false, false, false, false
			e.known = e.known || e.open
		}
	}
}
