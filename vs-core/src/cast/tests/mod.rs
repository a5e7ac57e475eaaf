mod change;
mod flow;
mod net;
mod repair;
mod stable;
