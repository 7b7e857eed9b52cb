//! The gRPC surface: generated messages, clients and servers of `proto/`.
//!
//! Guarantees: what stands here is what `proto/` says (`tests/proto_generated.rs` compiles the files again and
//! compares byte for byte). Bytes fields are [`prost::bytes::Bytes`], so that a raw tensor is not copied on its way through.
//! Does not do: any I/O; any meaning. Nothing here is ever hashed after re-serialising it.
//! Specification: `proto/inference/open_inference_grpc.proto`, `proto/ledgerstone/v1/*.proto`.

/// Open Inference Protocol, version 2: the model server that the sidecar stands in front of.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code"
)]
pub mod inference {
    include!("proto/gen/inference.rs");
}

/// The log and the receipts, read over gRPC.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code"
)]
pub mod ledgerstone_v1 {
    include!("proto/gen/ledgerstone.v1.rs");
}

/// Every proto file with its comments, as an encoded `FileDescriptorSet`: what gRPC reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("proto/gen/descriptors.bin");
