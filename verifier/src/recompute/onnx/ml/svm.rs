//! `SVMClassifier` and `SVMRegressor`.
//!
//! *Guarantees*: a classifier with the RBF kernel and no transform has the engine's bits: `f32` distances and `f64` sums in its order,
//! the platform's `exp`, its iteration for the probabilities of several classes.
//!
//! *Does not do*: give the bits of other kernels, of regressors and of transforms, whose order of additions depends on the
//! processor; those are summed in `f64`.

use super::super::Fault;
use super::super::file::Node;
use super::super::ops::{Built, Inputs};
use super::super::tensor::{Data, Tensor};
use super::linear::{greatest, sum};
use super::scores::{Score, Second, Transform, logistic};
use super::table::{Labels, Table, only};
use crate::recompute::error::{ModelError, malformed, unsupported};

const CLASSES_MAX: usize = 1 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

/// What classifiers and regressors share.
#[derive(Clone, Debug)]
struct Machine {
    kernel: Kernel,
    gamma: f32,
    coefficient: f32,
    degree: f32,
    vectors: Vec<f32>,
    columns: usize,
    coefficients: Vec<f32>,
    rho: Vec<f32>,
}

#[derive(Clone, Debug)]
struct Classifier {
    machine: Machine,
    labels: Labels,
    /// Support vectors of each class; empty for a linear model of one row of coefficients a class.
    of_class: Vec<usize>,
    probabilities: Vec<(f32, f32)>,
    transform: Transform,
    is_all_positive: bool,
}

pub(crate) fn build(node: &Node<'_>) -> Result<Built, ModelError> {
    let wrong = |problem| malformed(node.place(), problem);
    let common = ["coefficients", "kernel_params", "kernel_type", "post_transform", "rho", "support_vectors"];
    let is_classifier = node.operation == "SVMClassifier";
    let own: &[&str] = match is_classifier {
        true => &["classlabels_ints", "classlabels_strings", "prob_a", "prob_b", "vectors_per_class"],
        false => &["n_supports", "one_class"],
    };
    only(node, &[&common, own].concat())?;
    let transform = Transform::named(node.text("post_transform")?.unwrap_or("NONE"));
    let transform = transform.ok_or_else(|| wrong("has an unknown post_transform"))?;
    let kernel = match node.text("kernel_type")?.unwrap_or("LINEAR") {
        "LINEAR" => Kernel::Linear,
        "POLY" => Kernel::Poly,
        "RBF" => Kernel::Rbf,
        "SIGMOID" => Kernel::Sigmoid,
        _ => return Err(wrong("has an unknown kernel_type")),
    };
    let (gamma, coefficient, degree) = match *node.floats("kernel_params")? {
        [] => (0.0, 0.0, 0.0),
        [gamma, coefficient, degree] => (gamma, coefficient, degree),
        _ => return Err(wrong("has another number of kernel_params than three")),
    };
    let (vectors, coefficients) = (node.floats("support_vectors")?, node.floats("coefficients")?);
    let machine = Machine {
        kernel,
        gamma,
        coefficient,
        degree,
        vectors,
        columns: 0,
        coefficients,
        rho: node.floats("rho")?,
    };
    if machine.coefficients.is_empty() || machine.rho.is_empty() {
        return Err(wrong("has no coefficients or no rho"));
    }
    let is_exact = is_classifier && kernel == Kernel::Rbf && transform == Transform::None;
    let built = if is_classifier {
        classifier(node, machine, transform)?
    } else if transform == Transform::None {
        regressor(node, machine)?
    } else {
        return Err(unsupported("a transform of a single score", node.place()));
    };
    let mut built = if is_exact { built } else { built.near() }.by_row();
    built.libm = (kernel == Kernel::Rbf).then_some("exp").or(transform.libm());
    built.gives_raw_scores = is_classifier;
    Ok(built)
}

fn classifier(node: &Node<'_>, mut machine: Machine, transform: Transform) -> Result<Built, ModelError> {
    let wrong = |problem| malformed(node.place(), problem);
    let labels = Labels::read(node, "classlabels_strings", "classlabels_ints")?;
    let classes = labels.len();
    let of_class: Option<Vec<usize>> =
        node.integers("vectors_per_class")?.iter().map(|count| usize::try_from(*count).ok()).collect();
    let of_class = of_class.ok_or_else(|| wrong("has a number of vectors below zero"))?;
    let vectors = of_class.iter().try_fold(0_usize, |sum, count| sum.checked_add(*count));
    let vectors = vectors.filter(|vectors| *vectors <= machine.vectors.len());
    let vectors = vectors.ok_or_else(|| wrong("has fewer support vectors than it says"))?;
    let (a, b) = (node.floats("prob_a")?, node.floats("prob_b")?);
    let pairs = classes.saturating_mul(classes.saturating_sub(1)) / 2;
    if !(2..=CLASSES_MAX).contains(&classes) || a.len() != b.len() {
        return Err(wrong("has an impossible number of classes or probabilities"));
    }
    if let Some(columns) = machine.vectors.len().checked_div(vectors) {
        machine.columns = columns;
        let fits = columns * vectors == machine.vectors.len()
            && machine.coefficients.len() == (classes - 1).saturating_mul(vectors)
            && machine.rho.len() == pairs
            && of_class.len() == classes
            && (a.is_empty() || a.len() == pairs);
        if !fits {
            return Err(wrong("has lists that do not fit its classes and support vectors"));
        }
        if a.is_empty() && classes == 2 && transform == Transform::Probit {
            return Err(unsupported("PROBIT of a single score", node.place()));
        }
    } else {
        machine.kernel = Kernel::Linear;
        machine.columns = machine.coefficients.len() / classes;
        if !a.is_empty() || machine.columns * classes != machine.coefficients.len() {
            return Err(wrong("has coefficients that do not fit its classes"));
        }
    }
    let is_all_positive = machine.coefficients.iter().all(|weight| *weight >= 0.0);
    let of_class = if vectors == 0 { Vec::new() } else { of_class };
    let probabilities = a.into_iter().zip(b).collect();
    let made = Classifier { machine, labels, of_class, probabilities, transform, is_all_positive };
    Ok(Built::new(move |inputs| made.run(inputs)))
}

fn regressor(node: &Node<'_>, mut machine: Machine) -> Result<Built, ModelError> {
    let wrong = |problem| malformed(node.place(), problem);
    let vectors = usize::try_from(node.integer("n_supports")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let is_linear = vectors == 0;
    let is_one_class = node.integer("one_class")?.unwrap_or(0) != 0;
    if is_linear {
        machine.kernel = Kernel::Linear;
        machine.columns = machine.coefficients.len();
    } else {
        machine.columns = machine.vectors.len() / vectors;
        if machine.columns.checked_mul(vectors) != Some(machine.vectors.len())
            || machine.coefficients.len() != vectors
        {
            return Err(wrong("has lists that do not fit its support vectors"));
        }
    }
    Ok(Built::new(move |inputs| {
        let mut scores = Vec::new();
        for row in machine.table(inputs)?.rows() {
            let rho = machine.rho.first().copied().unwrap_or_default();
            let score = if is_linear {
                sum(row, &machine.coefficients, rho)
            } else {
                sum(&machine.kernels(inputs, row, &machine.vectors)?, &machine.coefficients, rho)
            };
            let sign = if score > 0.0 { 1.0 } else { -1.0 };
            scores.push(if is_one_class { sign } else { score });
        }
        Ok(vec![Tensor::new(vec![scores.len(), 1], Data::F32(scores))?])
    }))
}

impl Machine {
    fn table<'a>(&self, inputs: &Inputs<'a>) -> Result<Table<'a, f32>, Fault> {
        let table = Table::of(inputs.get(0)?, self.columns)?;
        if table.rows().next().is_some_and(|row| row.len() != self.columns) {
            return Err(Fault::new("takes another number of columns"));
        }
        Ok(table)
    }

    /// The kernel of a row with each of the vectors.
    #[expect(clippy::cast_possible_truncation, reason = "rounded once, at the end")]
    fn kernels(&self, inputs: &Inputs<'_>, row: &[f32], vectors: &[f32]) -> Result<Vec<f32>, Fault> {
        inputs.charge(vectors.len())?;
        let of_vector = |vector: &[f32]| {
            let product = || {
                let products = row.iter().zip(vector).map(|(a, b)| f64::from(*a) * f64::from(*b));
                products.sum::<f64>()
            };
            let shifted = || f64::from(self.gamma) * product() + f64::from(self.coefficient);
            match self.kernel {
                Kernel::Linear => product() as f32,
                Kernel::Poly => shifted().powf(self.degree.into()) as f32,
                Kernel::Sigmoid => shifted().tanh() as f32,
                Kernel::Rbf => {
                    let mut distance = 0.0_f32;
                    for (a, b) in row.iter().zip(vector) {
                        let difference = a - b;
                        distance += difference * difference;
                    }
                    (-self.gamma * distance).exp()
                }
            }
        };
        Ok(vectors.chunks_exact(self.columns.max(1)).map(of_vector).collect())
    }
}

impl Classifier {
    fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, Fault> {
        let (mut places, mut scores, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for row in self.machine.table(inputs)?.rows() {
            let (of_row, label, second) = self.row(inputs, row)?;
            places.push(label);
            let given: Vec<Score<f32>> = of_row.iter().map(|score| Score::given(*score)).collect();
            raw.extend(
                Transform::None.scores(&given, if given.len() == 1 { Second::Negation } else { second })?,
            );
            scores.extend(self.transform.scores(&given, second)?);
        }
        let dims = vec![places.len(), scores.len() / places.len().max(1)];
        let (scores, raw) =
            (Tensor::new(dims.clone(), Data::F32(scores))?, Tensor::new(dims, Data::F32(raw))?);
        Ok(vec![self.labels.tensor(&places)?, scores, raw])
    }

    /// A row's scores, the place of its label, and what becomes of a single score.
    fn row(&self, inputs: &Inputs<'_>, row: &[f32]) -> Result<(Vec<f32>, usize, Second), Fault> {
        let machine = &self.machine;
        let classes = self.labels.len();
        if self.of_class.is_empty() {
            let rho = machine.rho.first().copied().unwrap_or_default();
            inputs.charge(machine.coefficients.len())?;
            let rows = machine.coefficients.chunks_exact(machine.columns.max(1));
            let scores: Vec<f32> = rows.map(|weights| sum(row, weights, rho)).collect();
            let best = greatest(&scores);
            let greatest = scores.get(best).copied().unwrap_or_default();
            let is_second =
                classes == 2 && if self.is_all_positive { greatest >= 0.5 } else { greatest > 0.0 };
            return Ok((scores, if is_second { 1 } else { best }, Second::Undefined));
        }
        let kernels = machine.kernels(inputs, row, &machine.vectors)?;
        let (sums, votes) = self.votes(&kernels);
        let best = votes.iter().rev().enumerate().max_by_key(|(_, votes)| **votes);
        let label = best.map_or(0, |(from_end, _)| classes - 1 - from_end);
        if !self.probabilities.is_empty() {
            return Ok((self.probabilities_of(&sums), label, Second::Undefined));
        }
        // Without a transform the engine negates a single score.
        let second = if self.transform == Transform::None { Second::Negation } else { Second::Complement };
        Ok((sums, label, second))
    }

    /// The decision for each pair of classes, and the pairs that each class won.
    #[expect(clippy::cast_possible_truncation, reason = "the engine rounds here, too")]
    fn votes(&self, kernels: &[f32]) -> (Vec<f32>, Vec<usize>) {
        let classes = self.of_class.len();
        let starts: Vec<usize> = self
            .of_class
            .iter()
            .scan(0, |next, count| {
                let start = *next;
                *next += count;
                Some(start)
            })
            .collect();
        let ranges: Vec<std::ops::Range<usize>> =
            starts.iter().zip(&self.of_class).map(|(start, count)| *start..start + count).collect();
        let (mut sums, mut votes) = (Vec::new(), vec![0_usize; classes]);
        let mut rho = self.machine.rho.iter();
        for (i, of_i) in ranges.iter().enumerate() {
            for (j, of_j) in ranges.iter().enumerate().skip(i + 1) {
                let mut sum = 0.0_f64;
                for (row, range) in [(j - 1, of_i), (i, of_j)] {
                    let weights = self.machine.coefficients.get(row * kernels.len()..).unwrap_or_default();
                    let weights = weights.get(range.clone()).unwrap_or_default();
                    for (weight, kernel) in weights.iter().zip(kernels.get(range.clone()).unwrap_or_default())
                    {
                        sum += f64::from(weight * kernel);
                    }
                }
                sum += f64::from(rho.next().copied().unwrap_or_default());
                sums.push(sum as f32);
                let winner = if sum > 0.0 { i } else { j };
                votes.iter_mut().skip(winner).take(1).for_each(|votes| *votes += 1);
            }
        }
        (sums, votes)
    }

    /// Probabilities of the classes from those of the pairs, by the iteration of Wu, Lin and Weng (2004) as LIBSVM has it.
    fn probabilities_of(&self, sums: &[f32]) -> Vec<f32> {
        const NEAR: f32 = 1.0e-7;
        let classes = self.labels.len();
        let mut pairs = vec![vec![0.0_f32; classes]; classes];
        let mut given = sums.iter().zip(&self.probabilities);
        for i in 0..classes {
            for j in i + 1..classes {
                let Some((sum, (a, b))) = given.next() else { continue };
                let probability = (1.0 - logistic(sum * a + b)).clamp(NEAR, 1.0 - NEAR);
                set(&mut pairs, i, j, probability);
                set(&mut pairs, j, i, 1.0 - probability);
            }
        }
        couple(&pairs)
    }
}

fn set(matrix: &mut [Vec<f32>], row: usize, column: usize, value: f32) {
    if let Some(into) = matrix.get_mut(row).and_then(|row| row.get_mut(column)) {
        *into = value;
    }
}

#[expect(clippy::indexing_slicing, reason = "every index is below the number of rows of a square matrix")]
fn couple(pairs: &[Vec<f32>]) -> Vec<f32> {
    const ROUNDS: usize = 100;
    let classes = pairs.len();
    let mut q = vec![vec![0.0_f32; classes]; classes];
    for i in 0..classes {
        for j in 0..classes {
            if j != i {
                q[i][i] += pairs[j][i] * pairs[j][i];
                q[i][j] = if j < i { q[j][i] } else { -pairs[j][i] * pairs[i][j] };
            }
        }
    }
    let small = 0.005_f32 / classes as f32;
    let mut chances = vec![1.0 / classes as f32; classes];
    for _ in 0..ROUNDS {
        let mut products = vec![0.0_f32; classes];
        let mut total = 0.0_f32;
        for i in 0..classes {
            for j in 0..classes {
                products[i] += q[i][j] * chances[j];
            }
            total += chances[i] * products[i];
        }
        let error = products.iter().map(|product| (product - total).abs()).fold(0.0, f32::max);
        if error < small {
            break;
        }
        for i in 0..classes {
            let step = (-products[i] + total) / q[i][i];
            chances[i] += step;
            total = (total + step * (step * q[i][i] + 2.0 * products[i])) / (1.0 + step) / (1.0 + step);
            for j in 0..classes {
                products[j] = (products[j] + step * q[i][j]) / (1.0 + step);
                chances[j] /= 1.0 + step;
            }
        }
    }
    chances
}
