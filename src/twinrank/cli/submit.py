"""Check a submission to the benchmark."""

from twinrank.cli.arguments import File, FileArgument
from twinrank.core.messages import counted


def check(submission: FileArgument, test: File) -> None:
    """Check that a submission has every id of a test file once, with label 0 or 1.

    Args:
        submission: CSV with the columns id,label.
        test: Test file.
    """
    from twinrank.benchmark.submission import check_submission

    summary = check_submission(submission, test)
    rows = counted(summary.rows, "row", "rows")
    print(f"{submission}: fits {test}; {rows}, left ranks higher in {summary.left_higher:,} of them")
