// The page as one file, with its data inside.

import { openSource } from "./data.js";
import { showPage } from "./showing.js";

openSource().then(showPage);
