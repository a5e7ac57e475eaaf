mod change;
mod flow;
mod net;
mod stable;
