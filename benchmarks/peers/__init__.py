"""The contenders, and what they have to do: see ``bench_peers.py`` beside this folder."""
