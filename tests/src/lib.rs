//! The world the tests run in: git servers, stateful fakes, the demo's service.
