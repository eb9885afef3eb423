"""Long work for programs that others talk to: questions as jobs, on videos of folders named at start.

No web server and no protocol: those are doors above this package.
"""

from analyzer_agent.service.folders import NamedFolders, NotFound
from analyzer_agent.service.job import Job, JobEvent, JobState
from analyzer_agent.service.jobs import Busy, Jobs
from analyzer_agent.service.library import FolderLibrary

__all__ = ["Busy", "FolderLibrary", "Job", "JobEvent", "JobState", "Jobs", "NamedFolders", "NotFound"]
