//! The checker: each property broken alone, and the traces of the model.

mod clusters;
mod order;
mod state;
mod traces;
mod views;
