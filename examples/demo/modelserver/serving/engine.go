// Package serving is a small model server: a bounded queue, slots that requests are decoded in, and a KV cache that is
// taken as tokens are written and given back at the end. It computes no model; what it does simulate (queueing, admission,
// cache growth, preemption) follows what vLLM's scheduler does, so that its metrics move as they do on a real server.
package serving

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// BlockTokens is how many tokens one block of the KV cache holds: vLLM's default.
const BlockTokens = 16

// Size is what the engine has room for.
type Size struct {
	// Slots is how many requests are decoded together.
	Slots int
	// Blocks is the size of the KV cache, in blocks.
	Blocks int
	// Queue is how many requests may wait; more are refused.
	Queue int
	// Tokens is the longest request: prompt and answer together.
	Tokens int
}

func (s Size) validate() error {
	switch {
	case s.Slots < 1, s.Blocks < 1, s.Queue < 1, s.Tokens < 2:
		return fmt.Errorf("slots, blocks and queue must be at least 1, tokens at least 2 (got %+v)", s)
	case blocksFor(s.Tokens) > s.Blocks:
		// A request that can never fit would stand at the head of the queue for ever.
		return fmt.Errorf("the KV cache must hold the longest request: %d blocks for %d tokens (got %d)",
			blocksFor(s.Tokens), s.Tokens, s.Blocks)
	}
	return nil
}

// Errors of Submit.
var (
	ErrQueueFull = errors.New("the queue is full")
	ErrTooLong   = errors.New("prompt and answer are longer than the model takes")
	ErrEmpty     = errors.New("prompt and answer must have at least one token")
)

// Reason says why a request finished, in vLLM's words.
type Reason string

// The reasons.
const (
	Stop   Reason = "stop"   // the model ended its answer
	Length Reason = "length" // the answer reached max_tokens
	Abort  Reason = "abort"  // the client went away
)

// Reasons are all of them, in the order in which they are exposed.
var Reasons = []Reason{Stop, Length, Abort}

// Request is one request on its way through the engine. Its fields belong to the engine until Done is closed.
type Request struct {
	prompt, limit, stop int

	generated int
	blocks    int
	arrived   time.Time
	scheduled time.Time // zero before it is first taken from the queue
	lastToken time.Time // zero before the first
	reason    Reason
	done      chan struct{}
}

// Done is closed when the request has finished.
func (r *Request) Done() <-chan struct{} { return r.done }

// Answer returns how many tokens were generated, and why that was the end. It may be called after Done is closed.
func (r *Request) Answer() (tokens int, reason Reason) { return r.generated, r.reason }

// Engine takes requests from a queue and decodes them. It has no clock: time is an argument, and must not go back.
type Engine struct {
	size    Size
	metrics *Metrics

	mu      sync.Mutex
	waiting []*Request // the next one first
	running []*Request // the oldest admission first
	free    int        // blocks
}

// NewEngine returns an idle engine.
func NewEngine(size Size, metrics *Metrics) (*Engine, error) {
	if err := size.validate(); err != nil {
		return nil, err
	}
	return &Engine{size: size, metrics: metrics, free: size.Blocks}, nil
}

// Submit puts a request into the queue. stop is the token at which the model would end its answer by itself.
func (e *Engine) Submit(now time.Time, prompt, limit, stop int) (*Request, error) {
	if prompt < 1 || limit < 1 || stop < 1 {
		return nil, ErrEmpty
	}
	// Each alone first: the sum of two large numbers can be a small one.
	if prompt > e.size.Tokens || limit > e.size.Tokens || prompt+limit > e.size.Tokens {
		return nil, fmt.Errorf("%w: at most %d tokens", ErrTooLong, e.size.Tokens)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) >= e.size.Queue {
		return nil, ErrQueueFull
	}
	r := &Request{prompt: prompt, limit: limit, stop: stop, arrived: now, done: make(chan struct{})}
	e.waiting = append(e.waiting, r)
	e.publish()
	return r, nil
}

// Cancel takes a request out whose client has gone away. One that has finished is left alone.
func (e *Engine) Cancel(now time.Time, r *Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.waiting, r); i >= 0 {
		e.waiting = slices.Delete(e.waiting, i, i+1)
	} else if i := slices.Index(e.running, r); i >= 0 {
		e.running = slices.Delete(e.running, i, i+1)
	} else {
		return
	}
	e.finish(now, r, Abort)
	e.publish()
}

// Step runs one iteration: every running request gets a token, then the queue's head is admitted as far as there is room.
func (e *Engine) Step(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	// As in vLLM, nothing is admitted in an iteration that had to push something out.
	if preempted := e.decode(now); !preempted {
		e.admit(now)
	}
	e.publish()
}

// decode gives each running request its next token, and a block where its last one is full.
func (e *Engine) decode(now time.Time) (preempted bool) {
	for i := 0; i < len(e.running); i++ {
		r := e.running[i]
		need := blocksFor(r.prompt+r.generated+1) - r.blocks
		for need > e.free && len(e.running) > i {
			e.preempt() // the latest admission first: at last this one itself
			preempted = true
		}
		if len(e.running) <= i {
			break
		}
		e.take(r, need)
		r.generated++
		e.metrics.token(now, r)
		r.lastToken = now
	}
	e.running = slices.DeleteFunc(e.running, func(r *Request) bool {
		switch {
		case r.generated >= r.stop && r.stop < r.limit:
			e.finish(now, r, Stop)
		case r.generated >= r.limit:
			e.finish(now, r, Length)
		default:
			return false
		}
		return true
	})
	return preempted
}

// admit takes from the queue while there is a slot and room for what the head has written so far.
func (e *Engine) admit(now time.Time) {
	for len(e.waiting) > 0 && len(e.running) < e.size.Slots {
		head := e.waiting[0]
		need := blocksFor(head.prompt + head.generated)
		if need > e.free {
			return // in order: a smaller one behind it must not overtake for ever
		}
		e.waiting = slices.Delete(e.waiting, 0, 1)
		e.take(head, need)
		e.running = append(e.running, head)
		if head.scheduled.IsZero() {
			head.scheduled = now
			e.metrics.scheduled(now, head)
		}
	}
}

// preempt gives up the latest admission: its blocks are free, and it comes first when there is room again. What it has
// generated stays; only the cache is computed anew.
func (e *Engine) preempt() {
	last := len(e.running) - 1
	r := e.running[last]
	e.running = slices.Delete(e.running, last, last+1)
	e.release(r)
	e.waiting = slices.Insert(e.waiting, 0, r)
	e.metrics.preempted()
}

func (e *Engine) finish(now time.Time, r *Request, reason Reason) {
	e.release(r)
	r.reason = reason
	e.metrics.finished(now, r)
	close(r.done)
}

func (e *Engine) take(r *Request, blocks int) {
	r.blocks += blocks
	e.free -= blocks
}

func (e *Engine) release(r *Request) {
	e.free += r.blocks
	r.blocks = 0
}

func (e *Engine) publish() {
	e.metrics.load(len(e.running), len(e.waiting), 1-float64(e.free)/float64(e.size.Blocks))
}

func blocksFor(tokens int) int { return (tokens + BlockTokens - 1) / BlockTokens }
