//! Tests of tiles, their paths and bundles.
