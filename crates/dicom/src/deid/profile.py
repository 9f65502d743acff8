"""Makes profile.csv from a JSON form of PS3.15 table E.1-1 (one object a row, keys `tag`, `basicProfile`,
`rtnUIDsOpt`, `rtnDevIdOpt`, `rtnInstIdOpt`, `rtnPatCharsOpt`, `rtnLongFullDatesOpt`).

    python profile.py attributes.json > profile.csv
"""
import json
import sys

OPTIONS = [("rtnUIDsOpt", "u"), ("rtnDevIdOpt", "d"), ("rtnInstIdOpt", "i"), ("rtnPatCharsOpt", "p"),
           ("rtnLongFullDatesOpt", "t")]
rows = set()
for row in json.load(open(sys.argv[1])):
    tag = row["tag"].strip("()").replace(",", "").lower()
    if "g" in tag or "x" in tag:
        continue  # private attributes, curves and overlays are rules of their own
    kept = "".join(letter for key, letter in OPTIONS if row.get(key) == "K")
    rows.add((tag, row["basicProfile"].rstrip("*"), kept))
print("# tag,action of the basic profile,options that keep it (u UIDs, d device, i institution, p patient, t dates)")
for row in sorted(rows):
    print(",".join(row))
