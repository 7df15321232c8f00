"""Effect journals for libraries that block. Their steps are plain functions, each on the thread that its transaction belongs to.

:mod:`.threads` describes how; each other module is one library.
"""
