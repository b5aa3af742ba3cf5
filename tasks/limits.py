"""The numbers of threads and connections of one process of the service, each with its reason.

Limits of time stand beside the code that waits, and the waits between two tries in `tasks.backoff`.

The threads of the doors and of the timers take connections from two pools, so that a burst of events keeps no
timer waiting. A thread that sends holds no connection, because it waits for the network outside every
transaction. So there may be more senders than connections.
"""

from __future__ import annotations

# Connections

# Of the doors. They are kept open; a transaction takes milliseconds.
DOOR_CONNECTIONS = 8
# More of them in a burst. Together they are a third of the 100 that a PostgreSQL server allows by default.
DOOR_CONNECTIONS_IN_A_BURST = 24
# Of the timers, in a pool of their own; twice as many in a burst.
TIMER_CONNECTIONS = 8
# Transactions about one subject: one works, the others wait in the database for its row. Behind a row that
# stays locked, more would take every connection from the other subjects.
TRANSACTIONS_PER_SUBJECT = 4
# Transactions that write and are quick: more of them take the interpreter from each other. A slow one waits
# for the database, and counts no more.
TRANSACTIONS_AT_WORK = 2

# Threads of the API

# Requests that record. Some of them wait for a row that another holds, so there are more than connections.
DOORS = 40
# Requests for the health of the service: they are answered however busy the doors are.
WATCHERS = 2
# Requests that fetch a form from REDCap. Each holds a door for as long as REDCap takes: a slow one may not
# take all doors.
REDCAP_FETCHERS = 8
# Hand-overs that a door has begun. A send may take half a minute, in which its thread only waits: an alert
# that follows must not.
DOOR_SENDERS = 32
# Hand-overs of what a door has claimed. They must not wait: a notice could be pointless when its turn comes.
# Without a free one a door leaves the claim to a second transaction, so there are as many as doors and more.
CLAIMED_SENDERS = 48

# Threads and tasks of the service loop

# Hand-overs that the loop has begun. As above, and providers that hang keep no other waiting.
LOOP_SENDERS = 64
# All other questions and writes of the loop, as those of wakes side by side.
LOOP_THREADS = 16
# Hand-overs of one subject side by side: a notice that came due since does not wait for a send that hangs.
HAND_OVERS_PER_SUBJECT = 3
# Flow runs that are executed at once. Prefect's engine keeps a processor busy: more of them take longer each.
FLOW_RUNS = 4
# Subjects that are advanced at once without their flow run. Each takes a connection of the timers'. One alone
# leaves the interpreter idle while the database answers; more than two take it from each other. With 1, 2, 4
# and 8 there were 48, 64, 59 and 46 a second (`python -m bench.at_nine --subjects 2000`, two processors).
DIRECT_WAKES = 2
