"""From a scored run to the figures of a paper, with pandas alone: `python replies.py RUN`, or `replies.parquet` of `loupe export`."""

import json
import sys
from pathlib import Path

import pandas as pd


def replies(source: str) -> pd.DataFrame:
    """The rows of a run, or of a table that `loupe export RUN --to parquet|csv` wrote."""
    if Path(source).is_dir():
        import loupe

        return loupe.read_run(source)
    return pd.read_parquet(source) if source.endswith(".parquet") else pd.read_csv(source, keep_default_na=False, na_values=[""])


def shares(rows: pd.DataFrame, tag: str) -> pd.DataFrame:
    """Right answers, n, and what could not be read or failed, for each value of a tag."""
    own = rows[rows.profile == "strict"].copy()
    own[tag] = own.tags.map(json.loads).map(lambda tags: tags.get(tag, "–"))
    by = own.groupby(tag)
    count = lambda verdict: by.verdict.agg(lambda v: (v == verdict).sum())  # noqa: E731
    return pd.DataFrame({"n": by.size(), "%": 100 * by.value.mean(), "unparsed": count("unparsed"), "failed": count("failed")}).round(1)


if __name__ == "__main__":
    table = replies(sys.argv[1])
    print(f"{table.model.iloc[0]} on {table.dataset.iloc[0]} ({table.split.iloc[0]}), {table.id.nunique()} samples\n")
    tags = sorted({tag for tags in table.tags.map(json.loads) for tag in tags})
    for tag in tags:
        shown = shares(table, tag)
        if 1 < len(shown) <= 20:
            print(shown.to_string(), end="\n\n")
    # How the profiles read the same replies.
    print((100 * table.groupby("profile").value.mean()).round(1).sort_values().to_string())
