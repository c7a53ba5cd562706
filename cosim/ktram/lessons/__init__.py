"""Lessons on kT-RAM: experiments that return numbers, and pictures of them.

Each module is one lesson: functions that run an experiment, and ``draw_...`` functions that return a matplotlib
figure of the result. ``gallery`` holds every picture of the lessons with its caption. Data sets and peer
classifiers need scikit-learn (extra ``datasets``).
"""
