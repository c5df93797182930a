# SPDX-License-Identifier: MIT
"""The allocators of a comparison: where their libraries are, and what a run needs to use them."""
import os
import re
import subprocess
from dataclasses import dataclass
from glob import glob
from pathlib import Path

OWN, PEER, FLOOR = "own", "peer", "floor"

# Where Debian and most others put them; the first match counts.
LIBRARY_DIRS = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
PEER_FILES = {
    "mimalloc": ("libmimalloc.so.2*",),
    "jemalloc": ("libjemalloc.so.2",),
    "tcmalloc": ("libtcmalloc_minimal.so.4",),
    "scudo": ("llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-*.so",),
}
# Settings of any allocator that would change what is measured; runs do not inherit them.
SETTING = re.compile(r"^(HAKMEM_|MALLOC_|MALLOCSTATS|MIMALLOC_|TCMALLOC_|SCUDO_|GLIBC_TUNABLES|"
                     r"LD_PRELOAD|BENCH_)")


PROBE_TIMEOUT_S = 60


class Unusable(Exception):
    """The allocator cannot take part; the text says why."""


@dataclass(frozen=True)
class Allocator:
    name: str
    role: str
    path: str | None  # None: the C library, nothing is preloaded
    version: str = ""
    settings: tuple = ()  # (NAME, VALUE) pairs for the environment

    def environment(self, base=None):
        """For a run. base: what is preloaded instead of nothing to get glibc's malloc."""
        env = {k: v for k, v in os.environ.items() if not SETTING.match(k)}
        env.update(self.settings)
        preload = self.path or base
        if preload is not None:
            env["LD_PRELOAD"] = str(preload)
        return env


def is_of_this_machine(path):
    """A compiler's runtime has the machine's name in that of the file, Debian in the folder's."""
    return os.uname().machine in path or "-linux-gnu" not in path and "-" not in Path(path).name


def by_version(path):
    """llvm-14 comes after llvm-9."""
    return [int(part) if part.isdigit() else 0 for part in re.split(r"(\d+)", path)]


def find_peer(name):
    for pattern in PEER_FILES[name]:
        for directory in LIBRARY_DIRS:
            found = [path for path in glob(f"{directory}/{pattern}") if is_of_this_machine(path)]
            if found:
                return max(found, key=by_version)
    return None


def package_version(path):
    """'package version' as the package manager knows the file, or ''."""
    try:
        owner = subprocess.run(["dpkg-query", "-S", os.path.realpath(path)], capture_output=True,
                               text=True, check=True).stdout.split(": ")[0]
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", owner],
                              capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def libc_version():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION").split()[-1]
    except (ValueError, OSError, AttributeError):
        return ""


def probe(path, settings=()):
    """Starts /bin/true with the library; returns its stderr."""
    env = Allocator("", OWN, path, settings=settings).environment()
    try:
        done = subprocess.run(["/bin/true"], env=env, capture_output=True, text=True,
                              errors="replace", timeout=PROBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise Unusable(f"/bin/true hangs under {path}") from None
    if done.returncode != 0:
        raise Unusable(f"/bin/true ends with {done.returncode} under {path}")
    return done.stderr


def check_library(path):
    if re.search(r"[\s:]", path):
        raise Unusable(f"LD_PRELOAD takes no blank or colon: {path}")
    if not os.path.isfile(path):
        raise Unusable(f"{path} does not exist")


def own_allocator(path, name="hakmem", settings=()):
    """hakmem itself; refuses anything but a release build."""
    path = os.path.abspath(path)
    check_library(path)
    banner = probe(path, (*settings, ("HAKMEM_VERBOSE", "1")))
    found = re.search(r"^hakmem: version (\S+) \((\S+) build\) is loaded$", banner, re.M)
    if found is None:
        raise Unusable(f"{path} does not say which build of hakmem it is")
    version, build = found.groups()
    if build not in ("release", "relwithdebinfo"):
        raise Unusable(f"{path} is a {build} build; figures of it would mean nothing")
    return Allocator(name, OWN, path, version, tuple(settings))


def check_settings(path, settings):
    """The library itself judges names and values: it warns about those it does not know. What
    else it prints was asked for by a setting."""
    path = os.path.abspath(path)
    check_library(path)
    complaints = [line for line in probe(path, settings).splitlines()
                  if re.match("hakmem: .* is (ignored|not valid);", line)]
    if complaints:
        raise Unusable(complaints[0].removeprefix("hakmem: "))


def peer_at(name, path):
    path = os.path.abspath(path)
    try:
        check_library(path)
    except Unusable as reason:
        raise Unusable(f"{name}: {reason}") from None
    return Allocator(name, PEER, path, package_version(path))


def parse_peers(text):
    """'glibc,mi3=/opt/libmimalloc.so' -> [(name, path or None)]; ValueError with a sentence."""
    peers = []
    for item in text.split(","):
        name, equals, path = item.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9_.+-]+", name) or name in ("hakmem", "floor", "best"):
            raise ValueError(f"'{name}' cannot name a peer")
        if not equals and name != "glibc" and name not in PEER_FILES:
            raise ValueError(f"unknown peer '{name}'; known: glibc, {', '.join(PEER_FILES)}; "
                             "any other as NAME=PATH")
        if equals and not path:
            raise ValueError(f"the peer '{name}' has no path after its =")
        if name in (other for other, _ in peers):
            raise ValueError(f"the peer '{name}' is named twice")
        peers.append((name, path if equals else None))
    return peers


def peer_list(wanted, skipped):
    """wanted: result of parse_peers, or None for all that are installed. Appends a sentence to
    skipped for each that cannot take part."""
    if wanted is None:
        wanted = [("glibc", None)] + [(name, None) for name in PEER_FILES]
    found = []
    for name, path in wanted:
        if name == "glibc" and path is None:
            found.append(Allocator("glibc", PEER, None, libc_version()))
            continue
        try:
            path = path or find_peer(name)
            if path is None:
                raise Unusable(f"{name}: not installed")
            found.append(peer_at(name, path))
        except Unusable as reason:
            skipped.append(str(reason))
    return found


def floor_allocator(programs):
    path = Path(programs) / "libfloor.so"
    return [Allocator("floor", FLOOR, str(path.absolute()))] if path.is_file() else []
