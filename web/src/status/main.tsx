import { render } from "preact";
import { Status } from "./Status";

const root = document.getElementById("app");
if (root !== null) render(<Status />, root);
