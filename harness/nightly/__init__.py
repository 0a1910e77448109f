"""``afterfault nightly``: everything, unattended, bounded in time: legs one after another, each a run of its own.

    matrix -> legs -> what each needs -> shares of the time -> a run each -> outcomes -> summary, artifacts, history

Nothing is judged in here: a leg is a plain pytest run in a folder of its own, and what it came to is the gate's word.
"""
