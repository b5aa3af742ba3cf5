"""The effects: the study's database and the notices that leave it, as plain functions.

Everything here works without Prefect; `now` is always an argument.

- `store.Store`: the database, SQLite or PostgreSQL; `schema` its tables, `migrate` and `migrations` how
  they come about, `queries` what others read from it.
- `advance.record` and `advance.advance`: events and time coming in, one transaction for each subject.
  `log` is the append-only event log, `outbox` what decisions do to the notices that wait.
- `notify.hand_over`: claim, send, record. `channels` maps audiences to the user's Apprise configuration,
  `recipients` lets one configuration of a study tell, `deliveries` holds claims and back-off, `instance` and
  `left_behind` whose claim is whose and what a dead process left, `sending` and `evidence` one bounded send
  and what it proves, `outages` the alert about a channel that stays dead.
- `render.render`: the texts, from one template file per step and language in `texts/`; `free_text` and
  `markup` keep what people wrote from being more than text.
"""
