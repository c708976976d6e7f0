// Package failpoint names the moments at which the end-to-end tests kill the process, because they are the ones between
// which something could get lost: around a commit, a page, a migration, a write of state.
//
// What kills is compiled in with the build tag `failpoints` alone (`make faults` builds such a binary). In every other
// build Reach is empty, is inlined, and reads no environment.
package failpoint

// Name is one such moment.
type Name string

// The moments. Before and after are as close to the act as the code can be.
const (
	BeforeCommit    Name = "before_commit" // of a transaction of the ledger that has written
	AfterCommit     Name = "after_commit"
	BeforeSend      Name = "before_send" // of a message to a destination
	AfterSend       Name = "after_send"  // accepted by the destination, not yet written down
	BeforeMigration Name = "before_migration"
	AfterMigration  Name = "after_migration"
	BeforeSnapshot  Name = "before_snapshot" // of the processor's state
	AfterSnapshot   Name = "after_snapshot"
	BeforeJournal   Name = "before_journal" // of the transitions that wait for the ledger
	AfterJournal    Name = "after_journal"
)

// Variable is the environment variable that arms one failpoint: `name`, `name:3` (the third time that it is reached) or
// `name:3+2ms` (two milliseconds after that, which lies within what follows).
const Variable = "ESCALATION_FAILPOINT"
