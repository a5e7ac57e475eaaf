mod allowance;
mod change;
mod flow;
mod gap;
mod net;
mod repair;
mod stable;
