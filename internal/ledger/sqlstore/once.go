package sqlstore

var putSeen = upsert("seen_events", []string{"source", "id"}, "source, id, at")

func (t *tx) Once(source, id string) (first bool, err error) {
	known, err := list(t, scanInt, "SELECT at FROM seen_events WHERE source = ? AND id = ?", source, id)
	if err != nil || len(known) > 0 {
		return false, err
	}
	return true, t.write(putSeen, source, id, nanos(t.now))
}
