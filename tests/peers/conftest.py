"""Prints how many combinations were compared with PyTorch, and what was not, with the reason."""

import collections

# These pages need PyTorch; test_torch.py imports them where it is installed.
collect_ignore = ["torch_parity"]


def pytest_terminal_summary(terminalreporter):
    compared = collections.Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "compared with PyTorch":
                op, count = value
                compared[op] += count
    if not compared:
        return
    from torch_parity import EXCLUDED  # here, as it needs PyTorch

    write = terminalreporter.write_line
    terminalreporter.section("compared with PyTorch")
    for op, count in sorted(compared.items()):
        write(f"{op:24} {count:5}")
    write(f"{'in all':24} {compared.total():5} combinations of options, each in float64 and float32")
    write("not compared:")
    for op, what, reason in sorted(EXCLUDED):
        write(f"  {op}: {what}: {reason}")
