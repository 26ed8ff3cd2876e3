"""The options of ``loghc run``, checked."""

from __future__ import annotations

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    from loghc.service.url import PingUrl

__all__ = ["Options"]


class Options:
    """The options of one ``loghc run``.

    Attributes:
        url: the ping URL.
        given_url: the ping URL on the command line.
        url_file: a file that holds it.
        headers: additional request headers.
        ca_file: a PEM file of the certificates to trust; None: what the system trusts.
        dry_run: start and send nothing.
        hidden_variables: environment variables that the program doesn't get.
        job: the job's name.
        level: the number of the lowest level to record; None: what the program's handlers take.
        limit: the most bytes of log that a ping carries.
        timeout: seconds for one attempt at a ping.
        drain: the most seconds to wait at the end for pings to be delivered.
        redact: regular expressions for what must not leave the machine.
        mask_secrets: whether the built-in rules apply as well.
        markers: additional markers; maps a message to an event's value.
        send_logs: False: pings without a body.
        start: False: no ping when the run starts.
        markers_only: markers start and end the runs, not the process.
        scope: "all", or "run" for pings that carry only the log of their own run.
        statuses: maps an exit status to "success", "fail" or "log", which is no verdict.
        on_failure: "fail", or "log" if a failure is no verdict because something retries it.
        expected: pairs of "text" or "pattern" and what a run that ends with 0 must have said.
        fail_on: the number of the lowest level that fails the run; None: no level does.
        fail_on_name: that level as it was given.
        events: the values of the events to send; None: all.
        output: what the program prints is kept in the log.
        state: the state directory, which then holds the rings as well; None: the default, or none.
        python: the Python for files, ``-m`` and ``-c``; None: the one that runs loghc.
    """

    url: PingUrl

    def __init__(self) -> None:
        self.given_url: str | None = None
        self.url_file: str | None = None
        self.headers: dict[str, str] = {}
        self.ca_file: str | None = None
        self.dry_run = False
        self.hidden_variables: list[str] = []
        self.job = "sync"
        self.level: int | None = None
        self.limit = 100_000
        self.timeout = 10.0
        self.drain = 10.0
        self.redact: list[str] = []
        self.mask_secrets = True
        self.markers: dict[str, str] = {}
        self.send_logs = True
        self.start = True
        self.markers_only = False
        self.scope = "all"
        self.statuses: dict[int, str] = {}
        self.on_failure = "fail"
        self.expected: list[tuple[str, str]] = []
        self.fail_on: int | None = None
        self.fail_on_name = ""
        self.events: frozenset[str] | None = None
        self.output = False
        self.state: str | None = None
        self.python: str | None = None

    @property
    def by_run(self) -> bool:
        """Whether each run has its own log. Without markers_only the process is the run."""
        return self.scope == "run" and self.markers_only

    def all_markers(self) -> dict[str, str]:
        """The markers to look for, from message to an event's value."""
        job = self.job
        own = {f"{job}.error": "fail", f"{job}.log": "log"}
        if self.markers_only:
            own.update({f"{job}.start": "start", f"{job}.done": "success"})
        return {**own, **self.markers}
