"""From a config to a record: build, train, evaluate, track."""
