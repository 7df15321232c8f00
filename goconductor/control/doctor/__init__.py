"""The doctor: looks at everything that sagas need, and says of each thing that is wrong what it is and what to do about it.

It reads, and changes nothing but one message to itself on the bus. It registers no instance, so that it can look while nobody
else can get in, and it ends: each part has its time. What cannot be looked at because of an earlier finding is *skipped*, and
says so; it is never reported as sound.
"""

from goconductor.control.doctor.examination import Patient, examine
from goconductor.control.doctor.findings import Check, Diagnosis, Finding, Outcome, Severity, settings_refused

__all__ = ["Check", "Diagnosis", "Finding", "Outcome", "Patient", "Severity", "examine", "settings_refused"]
