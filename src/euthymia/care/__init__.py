"""Care: screening, plan, session record with timed checks, follow-up.

Pure: no files, no web, and a clock is given.
"""
