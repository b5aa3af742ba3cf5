"""The effects: the study's database and the notices that leave it, as plain functions.

Everything here works without Prefect, and no function reads the clock: `now` is always an argument.

- `advance`: records events and decides about subjects, one transaction for each subject.
- `database`: SQLite or PostgreSQL. `store` opens it, `schema` has its tables, `event_log` is the event log,
  `outbox` holds the notices that wait, `queries` reads for everybody else.
- `delivery`: each notice is claimed (`claiming`), sent (`sending`), and its outcome recorded (`deliver`).
- `text`: puts notices into words, from one template for each step and language.
- `board`: the pages and drawings of Prefect's UI.
- `digest`: the daily digest of a site.
- `backoff` and `limits`: the waits between two tries, and the numbers of threads and connections.
"""
