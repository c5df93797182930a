#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: malloc and free stay within their instruction budgets on the path of a hit, without a call,
a lock prefix or an xchg, and the library brings no TLS call and no dependency besides the C library.

Method: disassemble the library with objdump and walk each function from its entry: conditional jumps
fall through, as on a hit; a jump within the function is followed; the walk ends at the first ret.

usage: hot_path.py LIBRARY | hot_path.py --self-test
"""
import re
import subprocess
import sys

BUDGETS = {"malloc": 14, "free": 16}
NEEDED = re.compile(r"libc\.so\.6|ld-linux[-\w]*\.so\.\d+")
FUNCTION = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S.*?)\s*$")
PREFIXES = {"lock", "rep", "repz", "repnz", "bnd", "notrack", "data16", "cs", "ds"}


def functions(disassembly):
    """Name -> list of (address, text), from objdump -d --no-show-raw-insn."""
    found, body = {}, None
    for line in disassembly.splitlines():
        head = FUNCTION.match(line)
        if head:
            body = found.setdefault(head.group(2), [])
            continue
        instruction = INSTRUCTION.match(line)
        if instruction and body is not None:
            body.append((int(instruction.group(1), 16), instruction.group(2).split("#")[0]))
    return found


def mnemonic(text):
    """The operation behind its prefixes."""
    words = text.split()
    return next((w for w in words if w not in PREFIXES), words[0])


def objection(text):
    """Why an instruction may not be on the path, or None."""
    operation = mnemonic(text)
    if "lock" in text.split():
        return "lock prefix"
    if operation.startswith("call") or operation in ("syscall", "sysenter", "int"):
        return "call"
    if operation.startswith(("xchg", "cmpxchg", "xadd")):
        return "atomic exchange"
    return None


def hit_path(name, body):
    """The instructions from the entry to the first ret; raises ValueError."""
    index = {address: i for i, (address, _) in enumerate(body)}
    path, i, seen = [], 0, set()
    while True:
        if i >= len(body):
            raise ValueError(f"{name}: runs past its end")
        if i in seen:
            raise ValueError(f"{name}: a loop on the hit path")
        seen.add(i)
        address, text = body[i]
        path.append(text)
        wrong = objection(text)
        if wrong:
            raise ValueError(f"{name}: {wrong} on the hit path at {address:x}: {text}")
        operation = mnemonic(text)
        if operation.startswith("ret"):
            return path
        if operation.startswith("jmp"):
            target = re.match(r"\S+\s+([0-9a-f]+)\b", text)
            if not target or int(target.group(1), 16) not in index:
                raise ValueError(f"{name}: leaves the function at {address:x}: {text}")
            i = index[int(target.group(1), 16)]
        else:
            i += 1


def check_code(disassembly):
    """Complaints about the hot paths."""
    complaints, found = [], functions(disassembly)
    for name, budget in BUDGETS.items():
        if name not in found:
            complaints.append(f"{name}: not found in the library")
            continue
        try:
            count = len(hit_path(name, found[name]))
        except ValueError as error:
            complaints.append(str(error))
            continue
        if count > budget:
            complaints.append(f"{name}: {count} instructions on the hit path, budget {budget}")
    return complaints


def check_imports(headers, symbols):
    """headers: objdump -p; symbols: objdump -T."""
    complaints = []
    for library in re.findall(r"^\s*NEEDED\s+(\S+)", headers, re.MULTILINE):
        if not NEEDED.fullmatch(library):
            complaints.append(f"the library needs {library}")
    for line in symbols.splitlines():
        if "*UND*" in line and line.split()[-1] == "__tls_get_addr":
            complaints.append("the library imports __tls_get_addr")
    return complaints


def function_text(name, lines, start=0x1000):
    """A made-up function as objdump prints it, one instruction for every four bytes."""
    text = [f"{start:016x} <{name}>:"]
    return "\n".join(text + [f"    {start + 4 * i:x}:\t{l}" for i, l in enumerate(lines)]) + "\n"


GOOD_MALLOC = ["lea    -0x1(%rdi),%rax", "cmp    $0x1003,%rax", "ja     1100 <malloc+0x100>",
               "mov    (%rsi,%rdi,8),%rax", "ret", "call   9000 <slow>"]
GOOD_FREE = ["mov    %rdi,%rax", "jmp    200c <free+0xc>", "lock incl (%rax)", "ret"]
GOOD_HEADERS = "  NEEDED               libc.so.6\n  NEEDED               ld-linux-x86-64.so.2\n"
GOOD_SYMBOLS = "0000000000000000      DF *UND*\t0000  (GLIBC_2.2.5) memcpy\n"


def code(malloc=None, free=None):
    return (function_text("malloc", malloc or GOOD_MALLOC) +
            function_text("free", free or GOOD_FREE, 0x2000))


def self_test():
    """Every rule refuses a text that breaks it, and a good one passes."""
    nops = lambda n: ["nop"] * (n - 1) + ["ret"]
    bad_code = {
        "budget of malloc": code(malloc=nops(BUDGETS["malloc"] + 1)),
        "budget of free": code(free=nops(BUDGETS["free"] + 1)),
        "call": code(malloc=["call   3000 <f>", "ret"]),
        "indirect call": code(free=["call   *0x10(%rax)", "ret"]),
        "notrack call": code(free=["notrack call *%rax", "ret"]),
        "lock": code(free=["lock cmpxchg %rax,(%rdx)", "ret"]),
        "lock alone": code(free=["lock incl (%rax)", "ret"]),
        "xchg": code(malloc=["xchg   %eax,(%rdx)", "ret"]),
        "jump out": code(malloc=["jmp    9000 <entry_refill>"]),
        "indirect jump": code(malloc=["jmp    *%rax"]),
        "loop": code(malloc=["nop", "jmp    1000 <malloc>"]),
        "no end": code(malloc=["nop"]),
        "missing": function_text("malloc", GOOD_MALLOC),
    }
    failed = [name for name, text in bad_code.items() if not check_code(text)]
    good = [code(), code(malloc=nops(BUDGETS["malloc"]), free=nops(BUDGETS["free"]))]
    failed += [f"good text {i}" for i, text in enumerate(good) if check_code(text)]
    if check_imports(GOOD_HEADERS, GOOD_SYMBOLS):
        failed.append("good imports")
    if not check_imports(GOOD_HEADERS + "  NEEDED   libpthread.so.0\n", GOOD_SYMBOLS):
        failed.append("needed library")
    if not check_imports(GOOD_HEADERS, "0 DF *UND*\t0000  (GLIBC_2.3) __tls_get_addr\n"):
        failed.append("__tls_get_addr")
    for name in failed:
        print(f"self-test: wrong verdict on: {name}")
    return bool(failed)


def objdump(*arguments):
    return subprocess.run(["objdump", *arguments], check=True, capture_output=True,
                          text=True).stdout


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 1:
        print(__doc__)
        return 2
    library = arguments[0]
    disassembly = objdump("-d", "--no-show-raw-insn", library)
    complaints = check_code(disassembly)
    complaints += check_imports(objdump("-p", library), objdump("-T", library))
    for complaint in complaints:
        print(complaint)
    if not complaints:
        counts = {name: len(hit_path(name, functions(disassembly)[name])) for name in BUDGETS}
        print(", ".join(f"{name}: {counts[name]} of {BUDGETS[name]}" for name in BUDGETS))
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
