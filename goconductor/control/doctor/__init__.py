"""The doctor: checks everything that sagas need, and reports each problem with its remedy.

It changes nothing, except that it sends one message to itself over the bus. It registers no instance, so that it works while
nobody else can get in. It ends: each part has its time limit. A check that an earlier finding makes impossible is *skipped*, and
reported so, never as sound.
"""

from goconductor.control.doctor.examination import Patient, examine
from goconductor.control.doctor.findings import Check, CheckOutcome, Diagnosis, Finding, Severity, settings_refused

__all__ = ["Check", "CheckOutcome", "Diagnosis", "Finding", "Patient", "Severity", "examine", "settings_refused"]
