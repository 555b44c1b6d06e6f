"""The life-support guide: what a caller is asked and told until the crew is there. Pure.

``loading`` reads the files of ``protocols/``, ``completeness`` walks every path of them, ``walk``
takes a caller through them, ``run`` folds where the guide is, ``resuscitation`` counts the times.
"""
