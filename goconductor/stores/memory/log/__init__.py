"""The sagas' log in memory: appends, starts and leases, and what PostgreSQL would refuse of them."""
