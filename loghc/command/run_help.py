"""What ``loghc run --help`` prints."""

from __future__ import annotations

from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE

__all__ = ["HELP"]

HELP = f"""\
usage: loghc run [options] COMMAND [args...]

Run a program, and ping a monitoring service when it starts and when it ends, whatever ends it. The
end of what it logs with loguru goes along.

COMMAND is a Python script, directory or zip file, "-m MODULE", "-c CODE", or any other program on
the PATH: "python app.py", "bash nightly.sh", an installed console script. What follows it belongs
to the program. It is started as a shell would start it, with the same streams and the same
environment, but for the ping URL, which it needn't know, and what brings the log out of it
(PYTHONPATH, LOGHC_RUN).

With {URL_VARIABLE}=off it is started, and not watched.

options:
  -h, --help            show this help, and exit
  --health-check-url URL
                        the ping URL. Everybody on this machine can see it in the list of
                        processes: {URL_VARIABLE}, or {URL_FILE_VARIABLE} with the
                        path of a file that holds it, keep it private
  --job NAME            name of the markers (default sync)
  --marker MESSAGE=EVENT
                        a message of the program's (or how it begins) that triggers a ping; the
                        event is log or fail, with --markers-only also start or success; may be
                        given again and again
  --markers-only        for daemons: markers tell when a run starts and ends, and not the process
  --ok-status N[,N...]  exit statuses that are a success, besides 0; 128 + n for signal n
  --fail-on LEVEL       a record of that level or above makes it a failed run
  --events EVENT[,EVENT...]
                        which pings to send, of start, success, fail and log (default: all)
  --no-start            no ping when the run starts
  --no-logs             pings without the log
  --output              what the program prints goes into the log, too, and is passed on unchanged.
                        A stream that is a terminal is left alone
  --level LEVEL         the least level of records to keep (default: what the program's own handlers
                        take)
  --limit BYTES         of log that a ping carries at most (default 100000)
  --redact PATTERN      regular expression: what it matches leaves this machine as [redacted];
                        may be given again and again
  --no-mask-secrets     do without the ready-made rules for passwords, keys and tokens
  --timeout SECONDS     for one attempt at a ping (default 10)
  --drain SECONDS       to wait at most, when the program has ended, for pings to be delivered
                        (default 10)
  --state DIR           a directory that outlives a crash of the machine. If this process dies
                        together with the program, or can't deliver the end, the next "loghc run"
                        of the same check tells it. With --state, the log is kept there as well,
                        else in memory. Default: $XDG_STATE_HOME/loghc; if that isn't set, none
  --python PATH         the Python for scripts, -m and -c (default: the one that runs loghc)

The process is the run: a start when it starts, success when it ends with 0, its exit status
otherwise; 128 + n if signal n killed it. Of what the program logs, "<job>.log" pings and
"<job>.error" makes it a failed run, though it ends with 0; "<job>.start" and "<job>.done" are lines
like any other, because the process tells.

With --markers-only it is the other way round: "<job>.start", "<job>.done", "<job>.error" and
"<job>.log" (and --marker) trigger pings, each start opens a run, and a run that is open at the end
failed. The end is when the last process of the program has ended.

Exit status: the program's; a signal that killed it kills loghc, too. 126 and 127 if COMMAND can't
be started, which is told as a failure. 2, and nothing is started, if something here is wrong.

examples:
  {URL_VARIABLE}=https://hc-ping.com/<uuid> loghc run backup.py --all
  loghc run --job nightly --redact 'token=\\S+' -m backup --all
  loghc run --ok-status 3 --output restic backup /home
  loghc run --markers-only --marker 'Backup finished=success' backup-daemon"""
