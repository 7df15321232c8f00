"""The election by etcd (3.4 to 3.6): the creator of the key, under a lease, may raise the epoch.

The key is created in a transaction that demands that it is not there; its *create revision*, which etcd never gives twice, is
the evidence. The lease lasts a term and is kept alive by each renewal; when its holder dies etcd deletes the key with it. What
else holds for every election by another system, two holders at once and revisions that go back, stands in
:mod:`goconductor.elections`.

Without a majority of etcd's members nobody wins and nobody renews, and the leader steps down when its trust runs out. A leader
that was cut off for a shorter time goes on. The smallest lease of etcd is some two seconds; it delays only the one case in
which a candidate dies between lock and epoch.

Not promised: that only one candidate believes to lead. That needs the fencing token; see :mod:`goconductor.recovery.leadership`.
"""

from goconductor.elections.etcd.election import EtcdElection

__all__ = ["EtcdElection"]
