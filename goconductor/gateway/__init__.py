"""Steps whose code runs elsewhere: a *worker* takes them over the doors, in any language, and needs neither database nor bus.

A *gateway* is a participant whose steps' code waits for a worker. The engine runs it as any other: the gateway holds the leases,
their time limits count here, and outcomes come into the log by the appends of this process. The core knows nothing of workers.

**Credit.** A worker says how many tasks it may have at once, and gets no more. The room of all sessions that offer a step is the
``concurrency`` of that step here. So work is granted only where a worker has room, what has none waits on the bus, where another
gateway may take it, and a slow worker holds up nobody's steps but its own.

**Fence.** Each attempt that is given to a worker has a name that no other attempt has. "Sent" is not "received": the worker keeps
an outcome until it is acknowledged, and sends it again under its fence. It is acknowledged after the append, with whether the log
has taken it. An outcome whose attempt is over is answered so.

**Session.** A worker whose stream breaks may come back with its session for some seconds, and says which tasks it holds. Those
that it does not hold never arrived, and are sent again. One that does not come back leaves *unknown outcomes*: its steps are
tried again or settled by the same rules as those of a process that died. A worker that gives no sign of life for twenty seconds
has gone as well, whatever its connection says; it finds out about the gateway in the same way.

``protocol`` has what crosses a door, ``session`` one worker's side of it, ``desk`` gives tasks to sessions, ``steps`` and
``runner`` are what the engine sees, ``hosted`` is a participant of workers, with its node, and ``gateway`` puts them together.
"""
