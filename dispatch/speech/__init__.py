"""Speech turned into text and text into speech, on this machine, without any cloud.

``engine`` is the interface that a call uses. ``recognition`` and ``synthesis`` fulfil it with
engines in processes of their own; nothing here imports an engine before one of those processes
has started, and without the extra ``speech`` all of it answers "speech is off" with a reason.
"""
