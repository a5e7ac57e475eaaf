mod change;
mod flow;
mod net;
