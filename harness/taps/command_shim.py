"""What a tool gets when it calls ``kind``, ``docker`` or ``kubectl``: runs the real one, as the command tap says.

    command_shim.py SOCKET PROGRAM LC_CTYPE_WAS_SET WORD...

To the tool it is the program: same stdin, stdout and stderr, same exit code, and it dies of the signal that the
program died of. A signal to this process alone is passed on; one to the whole group has reached the program already
and is not sent twice (`_Watcher` tells the two apart). When this process is killed the program is killed with it, as
if the tool had killed the program itself. When the tap is gone it ends with 125.

Standard library only and no import of the harness; and of that only what is built in or small, because a tool waits
for it: ``json``, ``signal`` and ``socket`` together take longer to import than everything else here takes to run. So
a message is no JSON, but strings with their lengths in front.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal without its enums
import _socket
import os
import select
import sys

TAP_GONE = 125
# The tap's orders.
RUN, READ, LEAVE, DIE = b"run", b"read", b"leave", b"die"
# What is said to the tap.
CALL, ENDED, STDIN = b"call", b"ended", b"stdin"
_PASSED_ON = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT)
_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
_PIECE = 65536
_LENGTH = 4


class TapGoneError(Exception):
    """Nobody answers at the other end."""


class Line:
    """Messages over a stream socket; a message is a list of byte strings."""

    def __init__(self, stream: _socket.socket) -> None:
        self._stream = stream

    def say(self, *parts: bytes) -> None:
        """Send one message; TapGoneError when the other end is closed."""
        body = b"".join(len(part).to_bytes(_LENGTH, "big") + part for part in parts)
        try:
            _write(self._stream.fileno(), len(body).to_bytes(_LENGTH, "big") + body)
        except OSError as error:
            raise TapGoneError from error

    def hear(self) -> list[bytes]:
        """Wait for the next message; TapGoneError when the other end is closed."""
        body = self._take(int.from_bytes(self._take(_LENGTH), "big"))
        parts = []
        while body:
            end = _LENGTH + int.from_bytes(body[:_LENGTH], "big")
            parts.append(body[_LENGTH:end])
            body = body[end:]
        return parts

    def _take(self, size: int) -> bytes:
        try:
            data = _read(self._stream.fileno(), size)
        except OSError as error:
            raise TapGoneError from error
        if len(data) < size:
            raise TapGoneError
        return data


def main(words: list[str]) -> int:
    """Do what the tap says until it says leave; returns the exit code."""
    place, program, locale_was_set, *arguments = words
    if not locale_was_set:
        os.environ.pop("LC_CTYPE", None)  # Python has put it there
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    try:
        line = Line(_connect(place))
        line.say(CALL, *map(os.fsencode, (program, _folder(), str(os.getpid()), str(len(arguments)), *arguments)),
                 *(name + b"=" + value for name, value in os.environb.items()))  # fmt: skip
        from ctypes import CDLL  # noqa: PLC0415 - takes long, and the tap thinks meanwhile

        prctl = CDLL(None).prctl
        while True:
            order, *parts = line.hear()
            if order == LEAVE:
                return _leave(*parts)
            if order == DIE:
                os.kill(os.getpid(), _signal.SIGKILL)
            elif order == READ:
                line.say(STDIN, _read(0))
            else:
                line.say(ENDED, *_run(parts, prctl))
    except TapGoneError:
        os.write(2, f"{program}: afterfault's command tap is gone; nothing more is done\n".encode())
        return TAP_GONE


def _connect(place: str) -> _socket.socket:
    """By way of its folder: a socket's own path may have a hundred bytes only."""
    folder, name = os.path.split(place)
    stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        stream.connect(f"/proc/self/fd/{handle}/{name}")
    except OSError as error:
        raise TapGoneError from error
    os.close(handle)
    return stream


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib takes long to import
    except OSError:  # somebody has removed it
        return "/"


def _leave(code: bytes, stdout: bytes, stderr: bytes) -> int:
    """Say the rest and end as the program did: a negative code is the signal it died of."""
    try:
        _write(1, stdout)
        _write(2, stderr)
    except OSError:
        code = code if int(code) else b"1"  # nobody reads it
    number = -int(code)
    if number <= 0:
        return -number
    if number != _signal.SIGKILL:
        _signal.signal(number, _signal.SIG_DFL)
        import resource  # noqa: PLC0415 - seldom

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program has left one, where they are wanted
    os.kill(os.getpid(), number)
    return 128 + number


def _run(order: list[bytes], prctl: object) -> tuple[bytes, bytes]:
    """Run a program to its end; returns its code, and its standard output where the tap asked for it.

    The order: the program's path, whether to capture (``1`` or nothing), a file for its stdin or nothing, the
    number of its words, its words (its own name first), and its environment as ``NAME=value``.
    """
    path, capture, stdin, count, *rest = order
    arguments, pairs = rest[: int(count)], rest[int(count) :]
    environment = dict(pair.split(b"=", 1) for pair in pairs)
    output = os.pipe() if capture else None
    signals = _Signals()
    child = _fork(prctl)
    if not child:
        if output:
            os.dup2(output[1], 1)
        if stdin:
            os.dup2(os.open(stdin, os.O_RDONLY), 0)
        for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # Python ignores them; its children shall not
            _signal.signal(number, _signal.SIG_DFL)
        try:
            os.execve(path, arguments, environment)
        except OSError as error:
            os.write(2, b"%s: %s\n" % (path, str(error.strerror).encode()))
        os._exit(126)
    watcher = _Watcher(prctl)  # second: a signal in between comes twice rather than never
    if output:
        os.close(output[1])
    try:
        said = _attend(child, signals, watcher, output[0] if output else -1)
    finally:
        watcher.end()
        signals.restore()
    return str(os.waitstatus_to_exitcode(said[0])).encode(), said[1]


def _fork(prctl: object) -> int:
    """Fork; the child is killed with this process, and signals that arrive meanwhile are not lost to it."""
    me = os.getpid()
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _PASSED_ON)
    child: int = os.fork()
    if not child:
        prctl(_SET_PARENT_DEATH_SIGNAL, _signal.SIGKILL, 0, 0, 0)  # type: ignore[operator]
        if os.getppid() != me:
            os._exit(TAP_GONE)
        _signal.set_wakeup_fd(-1)
        for number in _PASSED_ON:
            if _signal.getsignal(number) != _signal.SIG_IGN:
                _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
    return child


def _attend(child: int, signals: _Signals, watcher: _Watcher, output: int) -> tuple[int, bytes]:
    """Read and pass on signals until the child has ended, and its output too; returns its status and output."""
    pieces, status = list[bytes](), -1
    while status < 0 or output >= 0:
        ready = select.select([signals.reader] + [output] * (output >= 0), [], [])[0]
        if output in ready:
            pieces.append(os.read(output, _PIECE))
            if not pieces[-1]:
                os.close(output)
                output = -1
        for number in watcher.missed(signals) if signals.reader in ready else ():
            if status < 0:
                os.kill(child, number)
        if status < 0:
            ended, found = os.waitpid(child, os.WNOHANG)
            status = found if ended else -1
    return status, b"".join(pieces)


class _Signals:
    """Signals as bytes in a pipe; those that were ignored stay so, here and in the child."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._before_fd = _signal.set_wakeup_fd(self._writer)
        self._before = {}
        for number in (*_PASSED_ON, _signal.SIGCHLD):
            if number == _signal.SIGCHLD or _signal.getsignal(number) != _signal.SIG_IGN:
                self._before[number] = _signal.signal(number, lambda *_: None)

    def restore(self) -> None:
        """As it was."""
        for number, handler in self._before.items():
            _signal.signal(number, handler)
        _signal.set_wakeup_fd(self._before_fd)
        os.close(self.reader)
        os.close(self._writer)


class _Watcher:
    """A process in the group that only keeps what signals it gets: one that it did not get was meant for us alone."""

    def __init__(self, prctl: object) -> None:
        self._prctl = prctl
        self._begin()

    def missed(self, signals: _Signals) -> set[int]:
        """What this process got since the last time and its group did not; several of a kind count as one."""
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _PASSED_ON)
        got = set(os.read(signals.reader, _PIECE)).intersection(_PASSED_ON)
        seen = _kept(self._pid)
        if got & seen:
            self._renew()  # it can't tell a second one from the first
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
        return got - seen

    def end(self, pid: int = 0) -> None:
        """Nothing is left of it, or of a former one."""
        os.kill(pid or self._pid, _signal.SIGKILL)
        os.waitpid(pid or self._pid, 0)

    def _renew(self) -> None:
        """Another one; what the whole group got before it was there, this process need not hear of again."""
        former = self._pid
        self._begin()
        again = _kept(former) - _kept(self._pid)
        self.end(former)
        for number in again:
            _signal.sigtimedwait([number], 0)

    def _begin(self) -> None:
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, _PASSED_ON)
        self._pid = _fork(self._prctl)  # it keeps them blocked
        if self._pid:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
            return
        os.closerange(0, 65536)
        while True:
            _signal.pause()


def _kept(pid: int) -> set[int]:
    """The signals a watcher got."""
    # Changes nothing, but waits for the kernel to be done with a signal it is just giving to a group.
    os.setpgid(pid, os.getpgrp())
    handle = os.open(f"/proc/{pid}/status", os.O_RDONLY)
    pending = int(_read(handle).partition(b"ShdPnd:")[2].split(None, 1)[0], 16)
    os.close(handle)
    return {number for number in _PASSED_ON if pending >> (number - 1) & 1}


def _read(handle: int, size: int = -1) -> bytes:
    """As many bytes, or with a negative number all there are."""
    pieces = []
    while size and (piece := os.read(handle, _PIECE if size < 0 else min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece) if size > 0 else 0
    return b"".join(pieces)


def _write(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
