"""Why a first model of these data reaches AUC 0.95, and what an honest one reaches: the table in MODEL.md.

Every line is the mean and standard deviation of the AUC on 589 held-out applications over 40 random splits,
with the parameters of train.py. It takes about four minutes on one core.

Run it with the packages of requirements.txt:  python ablation.py
"""

import numpy
import pandas
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from train import AFTER_OR_BY_THE_DECISION, HELD_OUT, NEIGHBOURHOOD, OUTCOME, SAME_FACT_TWICE, fit, inputs_of, load

SPLITS = 40


def auc(applications, columns):
    scores = []
    for seed in range(SPLITS):
        train, held = train_test_split(
            applications, test_size=HELD_OUT, random_state=seed, stratify=applications["approve"]
        )
        model = fit(train[columns], train["approve"].astype(int))
        scores.append(roc_auc_score(held["approve"], model.predict_proba(held[columns])[:, 1]))
    return f"{numpy.mean(scores):.3f} ± {numpy.std(scores):.3f}"


def line(name, applications, columns):
    print(f"| {name} | {len(columns)} | {auc(applications, columns)} |", flush=True)


def main():
    applications = load()
    everything = [column for column in applications.columns if column not in OUTCOME]
    honest = inputs_of(applications)

    print("| inputs | columns | AUC |\n| --- | --- | --- |")
    line("all but the outcome and the protected columns", applications, everything)
    for column in AFTER_OR_BY_THE_DECISION:
        line(f"... without `{column}`", applications, [name for name in everything if name != column])
    clean = [name for name in everything if name not in AFTER_OR_BY_THE_DECISION]
    line("... without those five", applications, clean)
    single = [name for name in clean if name not in SAME_FACT_TWICE]
    line("... and without facts told twice", applications, single)
    line("... and without the neighbourhood: **the inputs used**", applications, honest)
    for column in AFTER_OR_BY_THE_DECISION:
        line(f"the inputs used, with `{column}`", applications, honest + [column])
    for column in AFTER_OR_BY_THE_DECISION:
        line(f"`{column}` alone", applications, [column])

    assert not set(NEIGHBOURHOOD) & set(honest)
    for column in AFTER_OR_BY_THE_DECISION:
        print("\n" + pandas.crosstab(applications[column].fillna(-1), applications["action"]).to_string())


if __name__ == "__main__":
    main()
