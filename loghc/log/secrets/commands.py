"""Secrets in options of well-known commands, where the option doesn't say so: ``curl -u``."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["COMMANDS", "Command", "pattern", "programs"]


class Command(NamedTuple):
    """A command with a secret in its arguments.

    Attributes:
        program: the command's name; several in ``(?:...)`` with ``|`` between them.
        option: a regular expression for the text before the secret, without the blanks around it.
        secret: how the secret follows: a key of ``FORMS``.
        caught: an example, with the secret in ``«»``.
    """

    program: str
    option: str
    secret: str
    caught: str


COMMANDS = (
    Command("curl", "-[a-zA-Z]{0,6}u|--user|-U|--proxy-user|-E|--cert|--proxy-cert", "user:password", "curl -u bob:«hunter2» https://x"),
    Command("curl", "-u|--user", "token", "curl -u «a1b2c3d4e5f6g7h8i9j0»: https://x"),
    Command("(?:conda token|wandb)", "set|login", "argument", "conda token set «a1b2c3d4»"),
    Command("sshpass", "-p", "either", "sshpass -p «hunter2» ssh bob@x"),
    Command("(?:mysql|mysqldump|mysqladmin|mysqlimport|mysqlsh|mysqlpump|mysqlcheck|mariadb|mariadb-dump|mariadb-admin)", "-p(?!ort)", "glued", "mysqldump -u root -p«hunter2» shop"),
    Command("(?:skopeo|buildah|podman)", "--(?:src-|dest-)?creds", "user:password", "skopeo copy --src-creds bob:«hunter2» a b"),
    Command("(?:redis-cli|openssl|swaks)", "-a|--pass|-k|-K|-ap|--auth-password", "argument", "redis-cli -h x -a «hunter2» ping"),
    Command("(?:smbclient|rpcclient|smbget|net|winexe|wmic)", "-U", "user%password", "smbclient //x/y -U bob%«hunter2»"),
    Command("(?:ldapsearch|ldapmodify|ldapadd|ldapdelete|ldappasswd|ldapwhoami)", "-w", "argument", "ldapsearch -D cn=x -w «hunter2»"),
    Command("htpasswd", r"-\w{0,6}b\w{0,6}(?: -C \d+)?(?: -?[\w./-]*)? \S+", "argument", "htpasswd -b .htpasswd bob «hunter2»"),
    Command("(?:sqlcmd|isql|bcp|osql|tsql|zip|unzip|ipmitool|mosquitto_pub|mosquitto_sub|mqttx)", "-P", "either", "sqlcmd -S x -U sa -P «hunter2»"),
    Command("(?:sqlplus|rman|expdp|impdp|sqlldr)", r"(?:-[A-Za-z]{1,2} ){0,3}(?:userid=|target )?[A-Za-z]\w{0,30}/", "glued", "sqlplus scott/«tiger2»@orcl"),
    Command("rabbitmqctl", r"(?:add_user|change_password|authenticate_user) \S+", "argument", "rabbitmqctl add_user bob «hunter2»"),
    Command("(?:login|mongo|mongosh|mongodump|mongorestore|mongoexport|mongoimport|rabbitmqadmin|cqlsh|xfreerdp|rdesktop|psexec|influx|impacket|nxc|crackmapexec|telegraf|sftp|ftp|ncftpput|ncftpget|svn|vncdo)", "-p|/p:|--password|--apikey", "argument", "cqlsh x -u bob -p «hunter2»"),
    Command("(?:xfreerdp|psexec|net use|net user|cmdkey|schtasks|runas)", "/(?:p|pass|rp):", "glued", "xfreerdp /u:bob /p:«hunter2» /v:x"),
    Command("net user", r"[\w.-]+", "argument", "net user bob «hunter2» /add"),
    Command("net use", r"(?:[A-Z]: )?\\\\\\?\\?\S+(?: /user:\S+)?", "argument", r"net use Z: \\nas\x /user:bob «hunter2»"),
    Command("(?:7z|7za|7zz|rar|unrar)", "-(?:p|hp)", "glued", "7z a -p«hunter2» a.7z b"),
    Command("(?:lftp|lftpget)", "-u", "user,password", "lftp -u bob,«hunter2» ftp://x"),
    Command("kubectl create secret", "--from-literal=[^=\\s]{1,64}", "argument", "kubectl create secret generic x --from-literal=a=«hunter2»"),
    Command("(?:aws configure|composer config|poetry config|pip config|git config|gcloud config|conda config)", r"(?:set |--global |--auth ){0,2}[\w./:-]{0,64}(?:secret|token|password|oauth|http-basic)[\w./:-]{0,64}(?: set)?(?: [a-z]+(?= \S))?", "argument", "aws configure set aws_secret_access_key «ab/cd+ef»"),
    Command("(?:mc alias|mcli alias|mc config)", r"(?:host )?(?:set|add) \S+ \S+ \S+", "argument", "mc alias set x https://y bob «hunter2»"),
    Command("(?:snmpwalk|snmpget|snmpset|snmpbulkwalk)", "-c|-A", "argument", "snmpwalk -v2c -c «hunter2» x"),
    Command("(?:snmpwalk|snmpget|snmpset|snmpbulkwalk)", "-X", "argument", "snmpget -v3 -A «authpass1» -X «privpass1» x"),
    Command("(?:wpa_passphrase|nmcli)", r"[\w-]+(?: dev(?:ice)? wifi connect \S+ password)?", "argument", "wpa_passphrase home «hunter22»"),
    Command("etcdctl", "--user", "user:password", "etcdctl --user root:«hunter2» get x"),
    Command("rclone", "obscure", "argument", "rclone obscure «hunter2»"),
    Command("(?:gpg|gpg2|borg|restic|duplicity|cryptsetup|ansible-vault|ansible-playbook|ssh-keygen)", "--passphrase|-N|-P", "argument", "gpg --batch --passphrase «hunter2» -d x"),
    Command("b2 authorize-account", r"\S+", "argument", "b2 authorize-account 0a1b «K00aB3dE5f»"),
    Command("bundle config", r"(?:set )?(?:--global |--local )?\S+", "user:password", "bundle config gems.example.com bob:«hunter2»"),
    Command("codecov", "-t|--token", "argument", "codecov -t «9e9d9bbe-4f2b»"),
)  # fmt: skip

# An argument ends at a blank or at its closing quote, also in a list of arguments.
_VALUE = r"(?:(?<=\")[^\"\n]+|(?<=')[^'\n]+|(?<![\"'])[^\s\"'|;,&\]]+)"
_NEXT = r"(?:[ \t]{1,4}|=|[\"'],[ \t]{0,4}(?=[\"'](?![^\"'\n]{0,64}[\"']:)))[\"']?"
_BLANK = r"(?:[\"'],[ \t]{0,4}[\"']|[ \t]{1,4})"
_NO_OPTION = r"(?!-|/dev/|\$[A-Z_{(]|<|\*{3}|\[redacted)"
FORMS = {
    "argument": rf"{_NEXT}{_NO_OPTION}(?P<secret>{_VALUE})",
    "glued": rf"[\"']?{_NO_OPTION}(?P<secret>(?:(?<=\")[^\"\n]+|(?<=')[^'\n]+|(?<![\"'])[^\s\"'|;,&@]+))",
    "either": rf"(?:{_NEXT}|[\"']?){_NO_OPTION}(?P<secret>{_VALUE})",
    "user:password": rf"(?:{_NEXT}|(?=\w))[^\s:\"'|;$]{{0,64}}:{_NO_OPTION}(?P<secret>[^\s\"'|;]+)",
    "user%password": rf"(?:{_NEXT})[^\s%\"'|;]{{0,64}}%(?P<secret>[^\s\"'|;]+)",
    "user,password": rf"(?:{_NEXT})[^\s,\"'|;]{{0,64}},(?P<secret>[^\s\"'|;]+)",
    "token": rf"{_NEXT}{_NO_OPTION}(?P<secret>[\w.-]{{20,}})",
}
"""How a secret follows an option."""


def pattern(command: Command) -> str:
    """A regular expression for a command, up to and including its secret."""
    option = re.sub(r"(?<!\[) (?!\])", lambda _: _BLANK, command.option)
    names, after = _names(command)
    # It begins with the names and looks back from there, which makes the search fast.
    program = "|".join(rf"{name}(?<![\w.]{name})(?<![\w.]-{name})" for name in names)
    first = r"(?:\.exe)?[\"']?,?[ \t]{1,4}"
    # Other arguments, on the same line or on one that continues it, but not another command's.
    again = rf"(?!&&|{command.program}\b)"
    others = rf"(?:{again}[^\s|;]{{1,200}}(?:[ \t]{{1,8}}|(?<=\\)\r?\n[ \t]{{0,8}})){{0,16}}?"
    return rf"(?:{program}){after}{first}{others}[\"']?(?:{option}){FORMS[command.secret]}"


def programs(command: Command) -> list[str]:
    """The names of the program. A text with such a command contains at least one of them."""
    return _names(command)[0]


def _names(command: Command) -> tuple[list[str], str]:
    """A program's names, and the pattern for what must follow them."""
    names, _, after = command.program.removeprefix("(?:").partition(")")
    return names.split("|"), after
