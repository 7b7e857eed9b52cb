//! The numbers that a model server answered with, from the bytes of its response.

use ledgerstone::oip::{self, Element, Tensor};

use super::Obstacle;

/// The output tensors of a response.
pub(super) struct Response(Vec<Tensor>);

impl Response {
    /// Reads a response; the record has its digest.
    pub(super) fn read(bytes: Option<&[u8]>) -> Result<Self, Obstacle> {
        let bytes = bytes.ok_or(Obstacle::NoResponse)?;
        oip::outputs_of(bytes)
            .map(Self)
            .map_err(|error| Obstacle::Response(format!("does not read: {error}")))
    }

    /// The numbers of a tensor.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, Obstacle> {
        self.elements(name, |element| match element {
            Element::Float(number) => Some(number),
            _ => None,
        })
    }

    /// The tokens of a tensor.
    #[cfg(feature = "neural")]
    pub(super) fn tokens(&self, name: &str) -> Result<Vec<u32>, Obstacle> {
        self.elements(name, |element| match element {
            Element::Int(number) => u32::try_from(number).ok(),
            _ => None,
        })
    }

    fn elements<T>(&self, name: &str, read: impl Fn(Element<'_>) -> Option<T>) -> Result<Vec<T>, Obstacle> {
        let tensor = self.0.iter().find(|tensor| tensor.name == name);
        let elements = tensor.and_then(Tensor::elements);
        let read = elements.and_then(|elements| elements.iter().map(read).collect());
        read.ok_or_else(|| Obstacle::Response(format!("has no tensor {name:?} of the type that is compared")))
    }
}
