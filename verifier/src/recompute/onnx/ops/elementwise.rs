//! Operations that work item by item.
//!
//! *Guarantees*: `Add`, `Sub`, `Mul`, `Div`, comparisons, truth values, `Abs`, `Neg`, `Relu`, `LeakyRelu`, `PRelu`, `Clip`, `Sqrt`,
//! `Floor`, `Ceil`, `Where`, `Min`, `Max` have the engine's bits: one rounding each.
//!
//! *Does not do*: give the bits of `Exp`, `Log`, `Sigmoid`, `Tanh`, `Erf`, `Gelu`, `Pow`, `Elu`, `Selu`, `Softplus`: the engine
//! approximates them in vectors of the processor. Here they are computed in `f64` and rounded once.

use std::sync::Arc;

use super::super::Fault;
use super::super::file::Node;
use super::super::ml::table::only;
use super::super::tensor::{Data, Tensor, broadcast, broadcast_places, pick, with_numbers};
use super::{Built, Inputs};
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

pub(crate) fn build(node: &Node<'_>, version: i64) -> Result<Built, ModelError> {
    if let Some(built) = arithmetic(node)? {
        return Ok(built);
    }
    if let Some(built) = comparison(node)? {
        return Ok(built);
    }
    if let Some(built) = function(node)? {
        return Ok(built);
    }
    match node.operation {
        "Clip" => clip(node, version),
        "Where" => {
            only(node, &[])?;
            Ok(Built::new(choose))
        }
        other => Err(unsupported(format!("the operation {}", shown(other)), node.place())),
    }
}

/// Two numbers of one type make one of the same.
macro_rules! of_two {
    ($floats:expr, $integers:expr) => {
        Built::new(move |inputs: &Inputs<'_>| {
            let mut sum = inputs.get(0)?.clone();
            for place in 1..inputs.values.len() {
                sum = pairs(&sum, inputs.get(place)?, $floats, $floats, $integers)?;
            }
            Ok(vec![sum])
        })
    };
}

fn arithmetic(node: &Node<'_>) -> Result<Option<Built>, ModelError> {
    let integer = |operation: fn(i64, i64) -> Option<i64>| operation;
    let built = match node.operation {
        "Add" | "Sum" => of_two!(|a, b| a + b, integer(i64::checked_add)),
        "Sub" => of_two!(|a, b| a - b, integer(i64::checked_sub)),
        "Mul" => of_two!(|a, b| a * b, integer(i64::checked_mul)),
        "Div" => of_two!(|a, b| a / b, integer(i64::checked_div)),
        // What is no number wins, as in the engine.
        "Max" => of_two!(
            |a, b| if a.is_nan() || b.is_nan() { a + b } else { a.max(b) },
            integer(|a, b| Some(a.max(b)))
        ),
        "Min" => of_two!(
            |a, b| if a.is_nan() || b.is_nan() { a + b } else { a.min(b) },
            integer(|a, b| Some(a.min(b)))
        ),
        "PRelu" => of_two!(|a, b| if a < 0.0 { a * b } else { a }, integer(|_, _| None)),
        "Pow" => Built::new(power).near(),
        _ => return Ok(None),
    };
    only(node, &[])?;
    Ok(Some(built))
}

/// Applies a function to pairs of items of two tensors of one type.
fn pairs(
    a: &Tensor,
    b: &Tensor,
    singles: fn(f32, f32) -> f32,
    doubles: fn(f64, f64) -> f64,
    integers: fn(i64, i64) -> Option<i64>,
) -> Result<Tensor, Fault> {
    let dims = broadcast(a.dims(), b.dims())?;
    let (from_a, from_b) = (broadcast_places(a.dims(), &dims), broadcast_places(b.dims(), &dims));
    let range = || Fault::new("leaves the range of whole numbers, or divides by zero");
    let data = match (a.data(), b.data()) {
        (Data::F32(a), Data::F32(b)) => Data::F32(zip(&pick(a, &from_a)?, &pick(b, &from_b)?, singles)),
        (Data::F64(a), Data::F64(b)) => Data::F64(zip(&pick(a, &from_a)?, &pick(b, &from_b)?, doubles)),
        (Data::I64(a), Data::I64(b)) => {
            let all: Option<Vec<i64>> =
                zip(&pick(a, &from_a)?, &pick(b, &from_b)?, integers).into_iter().collect();
            Data::I64(all.ok_or_else(range)?)
        }
        (Data::I32(a), Data::I32(b)) => {
            let narrow = |a: i32, b: i32| integers(a.into(), b.into()).and_then(|c| i32::try_from(c).ok());
            let all: Option<Vec<i32>> =
                zip(&pick(a, &from_a)?, &pick(b, &from_b)?, narrow).into_iter().collect();
            Data::I32(all.ok_or_else(range)?)
        }
        _ => return Err(Fault::new("has inputs of types that do not go together")),
    };
    Tensor::new(dims, data)
}

fn zip<T: Copy, U>(a: &[T], b: &[T], each: impl Fn(T, T) -> U) -> Vec<U> {
    a.iter().zip(b).map(|(a, b)| each(*a, *b)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a 32-bit power is rounded once")]
fn power(inputs: &Inputs<'_>) -> Result<Vec<Tensor>, Fault> {
    let (base, exponent) = (inputs.get(0)?, inputs.get(1)?);
    let dims = broadcast(base.dims(), exponent.dims())?;
    let exponents = pick(&exponent.to_f64s()?, &broadcast_places(exponent.dims(), &dims))?;
    let bases = pick(&base.to_f64s()?, &broadcast_places(base.dims(), &dims))?;
    let powers = zip(&bases, &exponents, f64::powf);
    let data = match base.data() {
        Data::F32(_) => Data::F32(powers.into_iter().map(|power| power as f32).collect()),
        Data::F64(_) => Data::F64(powers),
        _ => return Err(Fault::new("has a base of whole numbers")),
    };
    Ok(vec![Tensor::new(dims, data)?])
}

fn comparison(node: &Node<'_>) -> Result<Option<Built>, ModelError> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let ordered = |matches: fn(Option<std::cmp::Ordering>) -> bool| {
        Built::new(move |inputs: &Inputs<'_>| compare(inputs.get(0)?, inputs.get(1)?, matches))
    };
    let logical = |of_two: fn(bool, bool) -> bool| {
        Built::new(move |inputs: &Inputs<'_>| {
            let (a, b) = (inputs.get(0)?, inputs.get(1)?);
            let dims = broadcast(a.dims(), b.dims())?;
            let of_a = pick(a.bools()?, &broadcast_places(a.dims(), &dims))?;
            let of_b = pick(b.bools()?, &broadcast_places(b.dims(), &dims))?;
            Ok(vec![Tensor::new(dims, Data::Bool(zip(&of_a, &of_b, of_two)))?])
        })
    };
    let built = match node.operation {
        "Less" => ordered(|order| order == Some(Less)),
        "LessOrEqual" => ordered(|order| matches!(order, Some(Less | Equal))),
        "Greater" => ordered(|order| order == Some(Greater)),
        "GreaterOrEqual" => ordered(|order| matches!(order, Some(Greater | Equal))),
        "Equal" => ordered(|order| order == Some(Equal)),
        "And" => logical(|a, b| a && b),
        "Or" => logical(|a, b| a || b),
        "Xor" => logical(|a, b| a != b),
        "Not" => Built::new(|inputs| {
            let input = inputs.get(0)?;
            let negated = input.bools()?.iter().map(|item| !item).collect();
            Ok(vec![Tensor::new(input.dims().to_vec(), Data::Bool(negated))?])
        }),
        "IsNaN" => Built::new(|inputs| {
            let input = inputs.get(0)?;
            let missing = input.to_f64s()?.into_iter().map(f64::is_nan).collect();
            Ok(vec![Tensor::new(input.dims().to_vec(), Data::Bool(missing))?])
        }),
        _ => return Ok(None),
    };
    only(node, &[])?;
    Ok(Some(built))
}

fn compare(
    a: &Tensor,
    b: &Tensor,
    matches: fn(Option<std::cmp::Ordering>) -> bool,
) -> Result<Vec<Tensor>, Fault> {
    fn each<T: Clone + PartialOrd>(
        (a, from_a): (&[T], &[usize]),
        (b, from_b): (&[T], &[usize]),
        matches: fn(Option<std::cmp::Ordering>) -> bool,
    ) -> Result<Vec<bool>, Fault> {
        let (a, b) = (pick(a, from_a)?, pick(b, from_b)?);
        Ok(a.iter().zip(&b).map(|(a, b)| matches(a.partial_cmp(b))).collect())
    }
    let dims = broadcast(a.dims(), b.dims())?;
    let (from_a, from_b) = (broadcast_places(a.dims(), &dims), broadcast_places(b.dims(), &dims));
    let found = match (a.data(), b.data()) {
        (Data::F32(a), Data::F32(b)) => each((a, &from_a), (b, &from_b), matches),
        (Data::F64(a), Data::F64(b)) => each((a, &from_a), (b, &from_b), matches),
        (Data::I64(a), Data::I64(b)) => each((a, &from_a), (b, &from_b), matches),
        (Data::I32(a), Data::I32(b)) => each((a, &from_a), (b, &from_b), matches),
        (Data::Bool(a), Data::Bool(b)) => each((a, &from_a), (b, &from_b), matches),
        (Data::Text(a), Data::Text(b)) => each((a, &from_a), (b, &from_b), matches),
        _ => Err(Fault::new("has inputs of types that do not go together")),
    };
    Ok(vec![Tensor::new(dims, Data::Bool(found?))?])
}

/// A function of one number, in the number's own type.
fn exact(singles: fn(f32) -> f32, doubles: fn(f64) -> f64, integers: fn(i64) -> Option<i64>) -> Built {
    Built::new(move |inputs| {
        let input = inputs.get(0)?;
        let range = || Fault::new("is not defined for such whole numbers");
        let data = match input.data() {
            Data::F32(items) => Data::F32(items.iter().copied().map(singles).collect()),
            Data::F64(items) => Data::F64(items.iter().copied().map(doubles).collect()),
            Data::I64(items) => {
                let all: Option<Vec<i64>> = items.iter().copied().map(integers).collect();
                Data::I64(all.ok_or_else(range)?)
            }
            Data::I32(items) => {
                let narrow = |item: &i32| integers((*item).into()).and_then(|item| i32::try_from(item).ok());
                let all: Option<Vec<i32>> = items.iter().map(narrow).collect();
                Data::I32(all.ok_or_else(range)?)
            }
            _ => return Err(Fault::new("is not of numbers")),
        };
        Ok(vec![Tensor::new(input.dims().to_vec(), data)?])
    })
}

/// A function computed in `f64` and rounded to its input's type.
#[expect(clippy::cast_possible_truncation, reason = "a 32-bit value is rounded once")]
fn approximate(function: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Built {
    Built::new(move |inputs| {
        let input = inputs.get(0)?;
        let data = match input.data() {
            Data::F32(items) => Data::F32(items.iter().map(|x| function((*x).into()) as f32).collect()),
            Data::F64(items) => Data::F64(items.iter().map(|x| function(*x)).collect()),
            _ => return Err(Fault::new("is not of floating-point numbers")),
        };
        Ok(vec![Tensor::new(input.dims().to_vec(), data)?])
    })
    .near()
}

fn function(node: &Node<'_>) -> Result<Option<Built>, ModelError> {
    let parameter = |name: &str, default: f32| -> Result<f64, ModelError> {
        Ok(f64::from(node.float(name)?.unwrap_or(default)))
    };
    let mut known: &[&str] = &[];
    let built = match node.operation {
        "Abs" => exact(f32::abs, f64::abs, i64::checked_abs),
        "Neg" => exact(|x| -x, |x| -x, i64::checked_neg),
        "Relu" => {
            exact(|x| if x < 0.0 { 0.0 } else { x }, |x| if x < 0.0 { 0.0 } else { x }, |x| Some(x.max(0)))
        }
        "Sqrt" => exact(f32::sqrt, f64::sqrt, |_| None),
        "Floor" => exact(f32::floor, f64::floor, |_| None),
        "Ceil" => exact(f32::ceil, f64::ceil, |_| None),
        "Reciprocal" => exact(|x| 1.0 / x, |x| 1.0 / x, |_| None),
        "Exp" => approximate(f64::exp),
        "Log" => approximate(f64::ln),
        "Sigmoid" => approximate(|x| 1.0 / (1.0 + (-x).exp())),
        "Tanh" => approximate(f64::tanh),
        "Erf" => approximate(erf),
        "Softplus" => approximate(|x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        "LeakyRelu" => {
            known = &["alpha"];
            let alpha = node.float("alpha")?.unwrap_or(0.01);
            leaky(alpha)
        }
        "Elu" => {
            known = &["alpha"];
            let alpha = parameter("alpha", 1.0)?;
            approximate(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "Selu" => {
            known = &["alpha", "gamma"];
            let (alpha, gamma) = (parameter("alpha", 1.673_263_2)?, parameter("gamma", 1.050_701)?);
            approximate(move |x| gamma * if x > 0.0 { x } else { alpha * x.exp() - alpha })
        }
        "Gelu" => {
            known = &["approximate"];
            match node.text("approximate")?.unwrap_or("none") {
                "none" => approximate(|x| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))),
                "tanh" => approximate(|x| {
                    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                    0.5 * x * (1.0 + inner.tanh())
                }),
                _ => return Err(malformed(node.place(), "has an unknown approximation")),
            }
        }
        _ => return Ok(None),
    };
    only(node, known)?;
    Ok(Some(built))
}

fn leaky(alpha: f32) -> Built {
    Built::new(move |inputs| {
        let input = inputs.get(0)?;
        let items = input.f32s()?.iter().map(|x| if *x < 0.0 { alpha * x } else { *x }).collect();
        Ok(vec![Tensor::new(input.dims().to_vec(), Data::F32(items))?])
    })
}

/// The error function, by its series near zero and its continued fraction elsewhere; good to about 1e-15.
fn erf(x: f64) -> f64 {
    const SERIES_MAX: f64 = 2.5;
    const ONE_FROM: f64 = 6.0;
    let size = x.abs();
    if size >= ONE_FROM {
        return x.signum();
    }
    if size < SERIES_MAX {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > sum.abs() * f64::EPSILON * 0.25 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = size;
    for n in (1..=60).rev() {
        fraction = size + f64::from(n) * 0.5 / fraction;
    }
    let complement = (-size * size).exp() / (fraction * std::f64::consts::PI.sqrt());
    (1.0 - complement).copysign(x)
}

fn clip(node: &Node<'_>, version: i64) -> Result<Built, ModelError> {
    // Before version 11 the limits were attributes.
    let attributes = if version < 11 { (node.float("min")?, node.float("max")?) } else { (None, None) };
    only(node, if version < 11 { &["min", "max"] } else { &[] })?;
    let limit = |value: Option<f32>| value.map(|value| Arc::new(Tensor::vector(Data::F32(vec![value]))));
    let attributes = (limit(attributes.0), limit(attributes.1));
    Ok(Built::new(move |inputs| {
        let input = inputs.get(0)?;
        let low = inputs.optional(1).or(attributes.0.as_deref());
        let high = inputs.optional(2).or(attributes.1.as_deref());
        let is_odd = |limit: &Tensor| limit.len() != 1 || limit.kind() != input.kind();
        if low.is_some_and(is_odd) || high.is_some_and(is_odd) {
            return Err(Fault::new("has a limit of another type, or several"));
        }
        let (low, high) = (low.map(Tensor::data), high.map(Tensor::data));
        let data = match input.data() {
            Data::F32(items) => Data::F32(clipped(items, low.and_then(first32), high.and_then(first32))),
            Data::F64(items) => Data::F64(clipped(items, low.and_then(first64), high.and_then(first64))),
            _ => return Err(Fault::new("is not of floating-point numbers")),
        };
        Ok(vec![Tensor::new(input.dims().to_vec(), data)?])
    }))
}

fn first32(data: &Data) -> Option<f32> {
    if let Data::F32(items) = data { items.first().copied() } else { None }
}

fn first64(data: &Data) -> Option<f64> {
    if let Data::F64(items) = data { items.first().copied() } else { None }
}

fn clipped<T: Copy + PartialOrd>(items: &[T], low: Option<T>, high: Option<T>) -> Vec<T> {
    let raised = |item: T| low.filter(|low| item < *low).unwrap_or(item);
    let lowered = |item: T| high.filter(|high| item > *high).unwrap_or(item);
    items.iter().map(|item| lowered(raised(*item))).collect()
}

/// `Where`.
fn choose(inputs: &Inputs<'_>) -> Result<Vec<Tensor>, Fault> {
    let (condition, a, b) = (inputs.get(0)?, inputs.get(1)?, inputs.get(2)?);
    let dims = broadcast(&broadcast(condition.dims(), a.dims())?, b.dims())?;
    let conditions = pick(condition.bools()?, &broadcast_places(condition.dims(), &dims))?;
    let (from_a, from_b) = (broadcast_places(a.dims(), &dims), broadcast_places(b.dims(), &dims));
    fn each<T: Clone>(
        conditions: &[bool],
        (a, from_a): (&[T], &[usize]),
        (b, from_b): (&[T], &[usize]),
    ) -> Result<Vec<T>, Fault> {
        let (a, b) = (pick(a, from_a)?, pick(b, from_b)?);
        let both = conditions.iter().zip(a.into_iter().zip(b));
        Ok(both.map(|(is_a, (a, b))| if *is_a { a } else { b }).collect())
    }
    let data = match (a.data(), b.data()) {
        (Data::F32(a), Data::F32(b)) => {
            Data::F32(each(&conditions, (&unsigned(a, 0.0), &from_a), (b, &from_b))?)
        }
        (Data::F64(a), Data::F64(b)) => {
            Data::F64(each(&conditions, (&unsigned(a, 0.0), &from_a), (b, &from_b))?)
        }
        (Data::I64(a), Data::I64(b)) => Data::I64(each(&conditions, (a, &from_a), (b, &from_b))?),
        (Data::Text(a), Data::Text(b)) => Data::Text(each(&conditions, (a, &from_a), (b, &from_b))?),
        _ => return Err(Fault::new("has inputs of types that do not go together")),
    };
    Ok(vec![Tensor::new(dims, data)?])
}

/// The engine takes the second item where the first is zero and puts a zero in the other's place, so that a zero which is chosen from the
/// first input loses its sign.
fn unsigned<T: Copy + std::ops::Add<Output = T>>(items: &[T], zero: T) -> Vec<T> {
    items.iter().map(|item| *item + zero).collect()
}

/// Whether a tensor's items are all numbers that can be ordered; `ArgMax` and the reductions need that.
pub(super) fn is_numeric(tensor: &Tensor) -> bool {
    with_numbers!(tensor.data(), _items => true, else false)
}
