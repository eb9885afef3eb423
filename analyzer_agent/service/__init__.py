"""Long work for programs that others talk to: questions as jobs, on videos of folders named at start.

No web server and no protocol: those are doors above this package.
"""

from analyzer_agent.service.folders import NamedFolders
from analyzer_agent.service.jobs import Busy, Job, JobEvent, Jobs, JobState, NotFound

__all__ = ["Busy", "Job", "JobEvent", "JobState", "Jobs", "NamedFolders", "NotFound"]
