"""Prints the tables of MODEL.md that need data/protected.csv: what employers and the model did with each group.

    python impact.py

Needs nothing but Python. src/impact.rs counts the same of the decisions that are really made.
"""

import csv
import json
import pathlib

HERE = pathlib.Path(__file__).parent


def table(name):
    with open(HERE / name, newline="") as file:
        return {int(row["resume"]): row for row in csv.DictReader(file)}


def main():
    resumes, protected, scores = table("data/resumes.csv"), table("data/protected.csv"), table("model/golden.csv")
    metrics = json.loads((HERE / "model" / "metrics.json").read_text())
    parts = {
        "held out": metrics["held_out_resumes"],
        "served": metrics["served_resumes"],
        "whole study": list(resumes),
    }
    print("| résumés | group | count | called back | invited |\n| --- | --- | --- | --- | --- |")
    ratios = []
    for part, numbers in parts.items():
        for column in ("race", "sex"):
            rates = {}
            for group in sorted({row[column] for row in protected.values()}):
                members = [number for number in numbers if protected[number][column] == group]
                called = sum(resumes[number]["callback"] == "1" for number in members)
                invited = sum(float(scores[number]["probability"]) >= metrics["threshold"] for number in members)
                rates[group] = called / len(members), invited / len(members)
                print(f"| {part} | {group} | {len(members):,} | {called} ({rates[group][0]:.1%}) | {invited} ({rates[group][1]:.1%}) |")
            callbacks, invitations = zip(*rates.values(), strict=True)
            ratios.append(f"| {part} | {column} | {min(callbacks) / max(callbacks):.2f} | {min(invitations) / max(invitations):.2f} |")
    print("\n| résumés | by | ratio of callbacks | ratio of invitations |\n| --- | --- | --- | --- |")
    print("\n".join(ratios))


if __name__ == "__main__":
    main()
