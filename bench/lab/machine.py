# SPDX-License-Identifier: MIT
"""What the figures were taken on."""
import os
import re

from allocators import libc_version


def read(path, pattern, fallback=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.search(pattern, file.read(), re.M)
        return found.group(1).strip() if found else fallback
    except OSError:
        return fallback


def describe():
    return {
        "cpu": read("/proc/cpuinfo", r"^model name\s*: (.*)$", os.uname().machine),
        "cores": len(os.sched_getaffinity(0)),
        "memory_kib": int(read("/proc/meminfo", r"^MemTotal:\s+(\d+)", "0")),
        "huge_pages": read("/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]", "unknown"),
        "kernel": os.uname().release,
        "system": read("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)', "Linux"),
        "libc": f"glibc {libc_version()}",
    }
