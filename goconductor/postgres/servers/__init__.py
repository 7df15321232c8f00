"""Which of several servers is asked: the addresses behind a name, and the timelines that they are on."""
