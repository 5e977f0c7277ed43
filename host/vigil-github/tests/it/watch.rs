//! A fleet that is watched from pass to pass, over real sockets: what is remembered, what a fault does to it, and that
//! everything is learned once the fault has ended.

mod fleet;
mod truth;

mod branches;
mod budget;
mod deadline;
mod denied;
mod identity;
mod lag;
mod limits;
mod lists;
mod moves;
mod network;
mod order;
mod pace;
mod pages;
mod properties;
mod renamed;
mod restart;
mod secret;
mod sharing;
mod unsent;
mod wake;
