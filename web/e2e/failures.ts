import { onTestFailed, beforeEach } from "vitest";
import { pictureOpenPages } from "./browser";

beforeEach(() => {
  onTestFailed(({ task }) => pictureOpenPages(task.name));
});
