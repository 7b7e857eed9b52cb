//! The receipt module.
