"""The sagas' log in SQL: appends, starts and leases, many sagas in one statement, and the log's tails."""
